#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The parts of make-traffic.sh that a shell cannot do: devices, a name server, and a client for many protocols."""

import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import time

V4, V6, VLAN, VLAN6, QINQ = "192.0.2.80", "2001:db8::80", "203.0.113.80", "2001:db8:100::80", "203.0.113.208"


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def no_offload(device):
    """What is captured is then what would be on a wire: all checksums there, nothing above the MTU."""
    import array

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for command in (0x15, 0x17, 0x1F, 0x24, 0x2C):  # ETHTOOL_SRXCSUM, STXCSUM, STSO, SGSO, SGRO
            value = array.array("B", struct.pack("II", command, 0))
            try:
                fcntl.ioctl(s, 0x8946, struct.pack("16sP", device.encode(), value.buffer_info()[0]))
            except OSError as err:
                print(f"{device}: ethtool command {command:#x}: {err}", file=sys.stderr)


def tuntap(name, flags):
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", name.encode(), flags | 0x1000))  # TUNSETIFF, IFF_NO_PI
    subprocess.run(["ip", "link", "set", name, "mtu", "1492", "up"], check=True)
    return fd


def vlan(below, name, *tags):
    """A tap device whose frames travel with `tags` (TYPE:ID, outermost first) on the device `below`."""
    tags = b"".join(struct.pack("!HH", int(t.split(":")[0], 16), int(t.split(":")[1])) for t in tags)
    tap = tuntap(name, 2)
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    raw.bind((below, 3))
    raw.setsockopt(263, 8, 1)  # SOL_PACKET, PACKET_AUXDATA: the kernel takes the outermost tag off
    while True:
        for ready in select.select([tap, raw], [], [])[0]:
            if ready is raw:
                frame, aux, _, who = raw.recvmsg(65536, 256)
                if who[2] == 4:  # PACKET_OUTGOING
                    continue
                for level, kind, data in aux:
                    status, _, _, _, _, tci, tpid = struct.unpack("IIIHHHH", data[:20])
                    if (level, kind) == (263, 8) and status & 0x10:
                        frame = frame[:12] + struct.pack("!HH", tpid if status & 0x40 else 0x8100, tci) + frame[12:]
                if frame[12:].startswith(tags) and frame[12 + len(tags) :][:2] not in (b"\x81\0", b"\x88\xa8"):
                    os.write(tap, frame[:12] + frame[12 + len(tags) :])
            else:
                frame = os.read(tap, 65536)
                raw.send(frame[:12] + tags + frame[12:])


def dns():
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        s.bind(("::", 53))
        while True:
            query, who = s.recvfrom(4096)
            end = query.index(b"\0", 12) + 5
            (kind,) = struct.unpack("!H", query[end - 4 : end - 2])
            data = {1: socket.inet_aton(V4), 28: socket.inet_pton(socket.AF_INET6, V6)}.get(kind)
            if kind == 16:
                data = b"".join(b"\xc8" + bytes([65 + i]) * 200 for i in range(14))
            answer = b"" if data is None else b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data
            flags, answers = (0x8180, 1) if data else (0x8183, 0)
            s.sendto(query[:2] + struct.pack("!5H", flags, 1, answers, 0, 0) + query[12:end] + answer, who)


def ask(server, name, kind, ident):
    with socket.socket(family(server), socket.SOCK_DGRAM) as s:
        s.settimeout(2)
        labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
        s.sendto(struct.pack("!6H", ident, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1), (server, 53))
        s.recvfrom(8192)


def ping(to, count, size=56):
    six = family(to) == socket.AF_INET6
    with socket.socket(family(to), socket.SOCK_RAW, 58 if six else 1) as s:
        for seq in range(count):
            body = bytes(i & 255 for i in range(size))
            packet = struct.pack("!BBHHH", 128 if six else 8, 0, 0, 0x5EE9, seq + 1) + body
            total = sum(struct.unpack(f"!{len(packet) // 2}H", packet))
            total = (total & 0xFFFF) + (total >> 16)
            total = (total & 0xFFFF) + (total >> 16)
            s.sendto(packet[:2] + struct.pack("!H", ~total & 0xFFFF) + packet[4:], (to, 0))
            time.sleep(0.02)


def client():
    for to, count, size in ((V4, 10, 56), (V6, 10, 56), (V4, 4, 4000), (V6, 4, 4000), (VLAN, 5, 56), (VLAN6, 5, 56), (QINQ, 5, 56)):
        ping(to, count, size)

    ident = 1
    for server in (V4, V6, VLAN):
        for name in ("www.example.com", "mail.example.net", "a.very.long.name.in.the.zone.example.org"):
            for kind in (1, 28, 15, 16):  # A, AAAA, MX (no such), TXT (larger than the MTU: fragments)
                ask(server, name, kind, ident)
                ident += 1

    # A socket for each datagram; ports that nobody listens on (ICMP answers).
    for i in range(30):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"x" * (i * 10), (V4, 5353 if i % 3 == 0 else 4000 + i))
    for i in range(20):
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
            s.sendto(b"y" * (i * 20), (V6, 4000 + i))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for _ in range(3):
            s.sendto(b"to all", ("192.0.2.255", 9))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        me = socket.inet_aton("192.0.2.1")
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("224.0.1.5") + me)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, me)
        s.sendto(b"to some", ("224.0.1.5", 9))

    # Ports that are closed: resets.
    for to in (V4, V6):
        with socket.socket(family(to), socket.SOCK_STREAM) as s:
            s.connect_ex((to, 81))

    # Destination options, hop-by-hop options, both before a large datagram (so also fragments).
    options = bytes([0, 0, 1, 4, 0, 0, 0, 0])
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, options)
        s.sendto(b"dstopts", (V6, 4500))
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_HOPOPTS, options)
        s.sendto(b"hopopts and dstopts", (V6, 4501))
        s.sendto(b"z" * 4000, (V6, 4502))

    # Protocols that are neither TCP nor UDP, and a datagram in IPv4 in IPv4 or IPv6.
    inner = struct.pack("!BBHHHBBH", 0x45, 0, 32, 7, 0, 64, 17, 0) + socket.inet_aton("198.51.100.1")
    inner += socket.inet_aton("198.51.100.2") + struct.pack("!HHHH", 7, 7, 12, 0) + b"ping"
    for protocol in (47, 89, 103, 112, 132, 253, 4):
        for to in (V4, V6):
            with socket.socket(family(to), socket.SOCK_RAW, protocol) as s:
                for _ in range(1 + protocol % 3):
                    s.sendto(inner if protocol == 4 else b"\0" * 20, (to, 0))
                    time.sleep(0.01)


def tun(capture):
    device = tuntap("t0", 1)
    for address in (["198.51.100.1/24"], ["2001:db8:200::1/64", "nodad"]):
        subprocess.run(["ip", "addr", "add", *address, "dev", "t0"], check=True)
    dump = subprocess.Popen(["tcpdump", "-q", "-U", "-i", "t0", "-w", capture], stderr=subprocess.DEVNULL)
    time.sleep(1)
    for to in ("198.51.100.2", "2001:db8:200::2"):
        ping(to, 4)
        with socket.socket(family(to), socket.SOCK_DGRAM) as s:
            s.sendto(b"hello", (to, 53))
    time.sleep(1)
    dump.terminate()
    dump.wait()
    os.close(device)


if __name__ == "__main__":
    {"no-offload": no_offload, "vlan": vlan, "dns": dns, "client": client, "tun": tun}[sys.argv[1]](*sys.argv[2:])
