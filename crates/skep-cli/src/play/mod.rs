//! `skep play`: runs each packet of a capture through a program, and tells what came of it.
//!
//! A packet at a time, so that memory does not grow with the capture. `engine` runs the program, [`verdict`]
//! understands what it returns, [`summary`] counts, [`maps`] shows the maps, [`progress`] entertains.

mod engine;
mod maps;
mod progress;
mod summary;
mod verdict;

use crate::args::{OutputFormat, PlayArgs};
use crate::capture::{CaptureError, CaptureErrorKind, Item, LinkType, Packet, Reader};
use crate::failure::{Failure, FailureKind};
use crate::input::Input;
use crate::output::Out;
use core::cell::{Cell, RefCell};
use engine::{Engine, NotRun};
use progress::Progress;
use skep_maps::slot;
use skep_vm::{Runtime, SystemHost};
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};
use summary::{Packets, Printk, Summary, Time};
use verdict::Fate;

/// Length of an Ethernet header in bytes: the kernel runs programs on nothing shorter.
const ETHERNET_HEADER: usize = 14;

/// Bytes of a capture that are read at once.
const BUFFER: usize = 1 << 18;

pub(crate) fn run(args: &PlayArgs, out: &mut Out) -> Result<(), Failure> {
    let input = Input::open(&args.object, &args.target)?;
    // Loading may take longer than seeing that the capture does not suit.
    let mut capture = open(&args.pcap)?;
    let engine = Engine::load(&input, args)?;
    let mut writer = match &args.out {
        Some(path) => Some(Writer::create(path, &args.pcap)?),
        None => None,
    };

    let mut summary = Summary {
        object: args.object.display().to_string(),
        program: engine.name().to_owned(),
        prog_type: engine.type_name(),
        capture: args.pcap.display().to_string(),
        packets: Packets::default(),
        verdicts: Default::default(),
        time: Time::default(),
        printk: Printk::default(),
        maps: Vec::new(),
        error: None,
    };
    let damage = play(&engine, &mut capture, writer.as_mut(), args, &mut summary)?;
    if let Some(writer) = &mut writer {
        writer.flush()?;
    }
    summary.packets.written = writer.as_ref().map(|writer| writer.packets);
    if damage.is_none() {
        refuse_if_nothing_suits(&summary, &args.pcap)?;
    }
    let damage = damage.map(|err| Failure::file(FailureKind::File, &args.pcap, &err));
    summary.error = damage.as_ref().and_then(|failure| failure.text.clone());

    let maps = engine.maps();
    match args.format.format() {
        OutputFormat::Json => {
            summary.maps = maps.iter().map(maps::Shown::json).collect();
            out.json(&summary)?;
        }
        OutputFormat::People => {
            summary.show(out)?;
            for map in &maps {
                map.show(args.map_elements, out)?;
            }
        }
    }
    match damage {
        Some(failure) => {
            out.flush()?;
            Err(failure)
        }
        None => Ok(()),
    }
}

/// A capture file, opened. What is wrong with its header is an error at once.
struct Capture {
    reader: Reader<BufReader<File>>,
    size: u64,
}

fn open(path: &Path) -> Result<Capture, Failure> {
    let fail = |err: std::io::Error| Failure::file(FailureKind::File, path, &err);
    let file = File::open(path).map_err(fail)?;
    let size = file.metadata().map_err(fail)?.len();
    let reader = Reader::new(BufReader::with_capacity(BUFFER, file))
        .map_err(|err| Failure::file(FailureKind::File, path, &err))?;
    if let Some(link_type) = reader.link_type()
        && link_type != LinkType::ETHERNET
    {
        let reason = unsuitable(link_type);
        return Err(Failure::new(FailureKind::LinkType, format!("{}: {reason}", path.display())));
    }
    Ok(Capture { reader, size })
}

/// Why packets of a link type are not played.
fn unsuitable(link_type: LinkType) -> String {
    format!("link type {link_type}, but the program expects Ethernet frames")
}

/// Fails if every packet was left out for its link type.
fn refuse_if_nothing_suits(summary: &Summary, path: &Path) -> Result<(), Failure> {
    let mut reasons = summary.packets.skipped.keys();
    match (summary.packets.played, reasons.next(), reasons.next()) {
        (0, Some(reason), None) if reason.starts_with("link type") => {
            Err(Failure::new(FailureKind::LinkType, format!("{}: {reason}", path.display())))
        }
        _ => Ok(()),
    }
}

/// Plays to the end, or up to where the capture is damaged, which is the result.
fn play(
    engine: &Engine,
    capture: &mut Capture,
    mut writer: Option<&mut Writer>,
    args: &PlayArgs,
    summary: &mut Summary,
) -> Result<Option<CaptureError>, Failure> {
    let progress = Progress::new(capture.size);
    let start = Instant::now();
    let kind = engine.packets();
    let printk = RefCell::new(core::mem::take(&mut summary.printk));
    let number = Cell::new(0);
    let mut host = SystemHost::new(|text: &[u8]| {
        printk.borrow_mut().keep(number.get(), text, args.printk_lines);
    });
    let slot = slot::acquire();
    let mut runtime = Runtime::new(&mut host, slot.slot(), engine.mode());
    let (mut in_program, mut runs) = (Duration::ZERO, 0);
    let damage = loop {
        let position = capture.reader.position();
        let packet = match capture.reader.next() {
            Ok(Some(Item::Packet(packet))) => packet,
            Ok(Some(Item::Other(bytes))) => {
                if let Some(writer) = writer.as_deref_mut() {
                    writer.write(bytes)?;
                }
                continue;
            }
            Ok(None) => break None,
            // Reading failed, which is not the capture's fault.
            Err(CaptureError { kind: CaptureErrorKind::Io(err), .. }) => {
                return Err(Failure::file(FailureKind::File, &args.pcap, &err));
            }
            Err(err) => break Some(err),
        };
        progress.at(packet.number, position);
        if let Some(reason) = cannot_play(&packet) {
            summary.skip(reason);
            continue;
        }
        number.set(packet.number);
        let outcome = match engine.run(packet.data, args.repeat, &mut runtime) {
            Ok(outcome) => outcome,
            Err(NotRun::Skipped(reason)) => {
                summary.skip(reason);
                continue;
            }
            Err(NotRun::Stopped(why)) => {
                let text = format!("{}: packet {}: {why}", args.pcap.display(), packet.number);
                return Err(Failure::new(FailureKind::Bug, text));
            }
        };
        in_program += outcome.time;
        runs += u64::from(args.repeat);
        summary.packets.snapped += u64::from(packet.is_snapped());
        let verdict = kind.verdict(outcome.value);
        summary.count(verdict, packet.data.len());
        if let Some(writer) = writer.as_deref_mut() {
            writer.packet(&packet, &outcome.data, verdict.fate)?;
        }
    };
    progress.finish();
    summary.printk = printk.into_inner();
    summary.time = Time::new(in_program, runs, start.elapsed());
    Ok(damage)
}

/// Why a packet is left out, if it is.
fn cannot_play(packet: &Packet<'_>) -> Option<String> {
    if packet.link_type != LinkType::ETHERNET {
        return Some(unsuitable(packet.link_type));
    }
    (packet.data.len() < ETHERNET_HEADER)
        .then(|| format!("shorter than an Ethernet header ({ETHERNET_HEADER} bytes)"))
}

/// Writes the packets that passed.
struct Writer<'a> {
    path: &'a Path,
    to: BufWriter<File>,
    record: Vec<u8>,
    packets: u64,
}

impl<'a> Writer<'a> {
    fn create(path: &'a Path, input: &Path) -> Result<Self, Failure> {
        // Creating it would empty what is to be read.
        if let (Ok(a), Ok(b)) = (path.canonicalize(), input.canonicalize())
            && a == b
        {
            let text = format!("{}: --pcap and --out are the same file", path.display());
            return Err(Failure::new(FailureKind::Usage, text));
        }
        let file =
            File::create(path).map_err(|err| Failure::file(FailureKind::File, path, &err))?;
        Ok(Self {
            path,
            to: BufWriter::with_capacity(BUFFER, file),
            record: Vec::new(),
            packets: 0,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.to.write_all(bytes).map_err(|err| Failure::file(FailureKind::File, self.path, &err))
    }

    fn packet(&mut self, packet: &Packet<'_>, data: &[u8], fate: Fate) -> Result<(), Failure> {
        self.record.clear();
        match fate {
            Fate::Ends => return Ok(()),
            Fate::Passes => packet.encode(data, &mut self.record),
            Fate::PassesUpTo(most) => {
                let most = usize::try_from(most).unwrap_or(usize::MAX);
                let data = data.get(..most).unwrap_or(data);
                packet.encode_snapped(data, &mut self.record);
            }
        }
        let Self { to, record, path, .. } = self;
        to.write_all(record).map_err(|err| Failure::file(FailureKind::File, path, &err))?;
        self.packets += 1;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.to.flush().map_err(|err| Failure::file(FailureKind::File, self.path, &err))
    }
}
