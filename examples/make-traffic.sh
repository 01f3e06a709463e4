#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Makes traffic.pcapng (Ethernet) and raw-ip.pcap (raw IP, from a tun device): real traffic between two network
# namespaces, with documentation addresses only. Needs root, iproute2, tcpdump, editcap, curl and python3.
set -euo pipefail
cd "$(dirname "$0")"
traffic=$PWD/traffic.py

C=skep-client-$$ S=skep-server-$$
work=$(mktemp -d)
pids=()
finish() {
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
	ip netns del "$C" 2>/dev/null || true
	ip netns del "$S" 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT

on() { ip netns exec "$@"; }
start() { ip netns exec "$@" & pids+=($!); }

ip netns add "$C"
ip netns add "$S"
ip link add c0 netns "$C" address 02:00:00:00:00:01 type veth peer name s0 netns "$S" address 02:00:00:00:00:80
for side in "$C c0" "$S s0"; do
	set -- $side
	on "$1" python3 "$traffic" no-offload "$2"
	on "$1" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
	on "$1" ip link set lo up
done

on "$S" ip link set s0 up
start "$S" tcpdump -q -i s0 -s 0 -U --time-stamp-precision=nano -w "$work/all.pcap" 2>"$work/tcpdump.log"
tcpdump_pid=$!
sleep 1
# c0 192.0.2.1, 2001:db8::1; s0 192.0.2.80, 2001:db8::80; VLAN 100: 203.0.113.0/25, 2001:db8:100::/64;
# VLAN 8 in service VLAN 7: 203.0.113.128/25.
for side in "$C c0 1" "$S s0 80"; do
	set -- $side
	on "$1" ip link set "$2" up
	on "$1" ip addr add "192.0.2.$3/24" brd + dev "$2"
	on "$1" ip addr add "2001:db8::$3/64" dev "$2" nodad
	start "$1" python3 "$traffic" vlan "$2" v100 8100:100
	start "$1" python3 "$traffic" vlan "$2" v7.8 88a8:7 8100:8
	sleep 1
	on "$1" ip addr add "203.0.113.$3/25" dev v100
	on "$1" ip addr add "2001:db8:100::$3/64" dev v100 nodad
	on "$1" ip addr add "203.0.113.$((128 + $3))/25" dev v7.8
done
sleep 1

mkdir "$work/www"
echo "hello" >"$work/www/hello.txt"
head -c 20000 /dev/zero | tr '\0' 'x' >"$work/www/big.txt"
for port in 80 8080; do
	start "$S" python3 -m http.server "$port" --bind :: --directory "$work/www" >/dev/null 2>&1
done
start "$S" python3 "$traffic" dns
sleep 1

on "$C" python3 "$traffic" client
for host in 192.0.2.80 '[2001:db8::80]' 192.0.2.80:8080 '[2001:db8::80]:8080' 203.0.113.80 '[2001:db8:100::80]' 203.0.113.208; do
	for path in hello.txt hello.txt big.txt missing; do
		on "$C" curl -sg --max-time 5 "http://$host/$path" -o /dev/null
	done
done
sleep 1
kill -INT "$tcpdump_pid"
wait "$tcpdump_pid" || true
editcap -F pcapng "$work/all.pcap" traffic.pcapng

on "$C" python3 "$traffic" tun "$work/raw.pcap"
cp "$work/raw.pcap" raw-ip.pcap
