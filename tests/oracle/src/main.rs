// SPDX-License-Identifier: MIT
//! Random frames, serialised by dora's own message crates, each with what a reader must find in it.
//!
//! oracle SEED COUNT prints one frame a line: codec, direction, body in hex, and the expected
//! records as tests/oracle/check_oracle.c writes them, separated by "; ".
//!
//! bincode frames come from dora-message 0.4.0 (arrow-schema 52) and 0.8.0 (54), postcard frames
//! from 1.1.0. The generators of the first two are one macro: only paths and features differ.

mod postcard_1x;

/// xorshift64*: the same frames for the same seed (drop tokens excepted: dora draws them itself).
pub struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545F4914F6CDD1D)
    }
    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 16) % n
    }
    fn coin(&mut self) -> bool {
        self.below(2) == 1
    }
    /// Often small, sometimes any.
    fn size(&mut self) -> usize {
        if self.below(4) == 0 { self.next() as usize } else { self.below(100_000) as usize }
    }
    fn id(&mut self) -> String {
        const CHARS: [char; 12] = ['a', 'b', '_', '-', '/', '0', '9', 'Z', ' ', 'é', '€', '😀'];
        // 63 bytes at most, the length of a record's id
        (0..1 + self.below(15)).map(|_| CHARS[self.below(12) as usize]).collect()
    }
    /// As dora 1.x insists on.
    fn plain_id(&mut self) -> String {
        let rest = (0..self.below(60)).map(|_| char::from(b"ab09_-Zz"[self.below(8) as usize]));
        format!("i{}", rest.collect::<String>())
    }
    fn text(&mut self) -> String {
        (0..self.below(40)).map(|_| char::from(self.below(128) as u8)).collect()
    }
    fn bytes(&mut self, max: u64) -> Vec<u8> {
        (0..self.below(max)).map(|_| self.next() as u8).collect()
    }
    fn region(&mut self) -> String {
        format!("/shmem_{:X}", self.next() >> self.below(60))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn print(codec: &str, direction: &str, body: &[u8], expected: &[String]) {
    println!("{codec}\t{direction}\t{}\t{}", hex(body), expected.join("; "));
}

macro_rules! bincode_generator {
    ($module:ident, $message:ident, $arrow:ident, $uhlc:path, $parameters:expr, $events:expr,
     $extra_parameter:expr, $failed:expr) => {
        pub mod $module {
            use super::{hex, print, Rng};
            use $arrow::{DataType, Field, IntervalUnit, TimeUnit, UnionFields, UnionMode};
            use $message::{
                common::{DataMessage, DropToken, Timestamped},
                daemon_to_node::{DaemonReply, NodeDropEvent, NodeEvent},
                metadata::{ArrowTypeInfo, BufferOffset, Metadata, Parameter},
                node_to_daemon::{DaemonRequest, NodeRegisterRequest},
            };
            use std::sync::Arc;
            use $uhlc as uhlc;

            pub fn stamp(r: &mut Rng) -> uhlc::Timestamp {
                let mut id = [0u8; 16];
                for b in id.iter_mut().take(1 + r.below(16) as usize) {
                    *b = r.next() as u8 | 1;
                }
                uhlc::Timestamp::new(uhlc::NTP64(r.next()), uhlc::ID::try_from(&id[..]).unwrap())
            }

            fn token_hex(t: &DropToken) -> String {
                hex(&bincode::serialize(t).unwrap()[8..])
            }

            fn unit(r: &mut Rng) -> TimeUnit {
                [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond,
                 TimeUnit::Nanosecond][r.below(4) as usize]
            }

            fn field(r: &mut Rng, depth: u32) -> Arc<Field> {
                let mut f = Field::new(r.text(), data_type(r, depth + 1), r.coin());
                if r.below(4) == 0 {
                    f = f.with_metadata((0..r.below(3)).map(|_| (r.text(), r.text())).collect());
                }
                Arc::new(f)
            }

            pub fn data_type(r: &mut Rng, depth: u32) -> DataType {
                match r.below(if depth < 5 { 39 } else { 27 }) {
                    0 => DataType::Null,
                    1 => DataType::Boolean,
                    2 => DataType::Int8,
                    3 => DataType::Int16,
                    4 => DataType::Int32,
                    5 => DataType::Int64,
                    6 => DataType::UInt8,
                    7 => DataType::UInt16,
                    8 => DataType::UInt32,
                    9 => DataType::UInt64,
                    10 => DataType::Float16,
                    11 => DataType::Float32,
                    12 => DataType::Float64,
                    13 => {
                        let zone = if r.coin() { Some(r.text().into()) } else { None };
                        DataType::Timestamp(unit(r), zone)
                    }
                    14 => DataType::Date32,
                    15 => DataType::Date64,
                    16 => DataType::Time32(unit(r)),
                    17 => DataType::Time64(unit(r)),
                    18 => DataType::Duration(unit(r)),
                    19 => DataType::Interval(
                        [IntervalUnit::YearMonth, IntervalUnit::DayTime,
                         IntervalUnit::MonthDayNano][r.below(3) as usize],
                    ),
                    20 => DataType::Binary,
                    21 => DataType::FixedSizeBinary(r.next() as i32),
                    22 => DataType::LargeBinary,
                    23 => DataType::BinaryView,
                    24 => DataType::Utf8,
                    25 => DataType::LargeUtf8,
                    26 => DataType::Utf8View,
                    27 => DataType::List(field(r, depth)),
                    28 => DataType::ListView(field(r, depth)),
                    29 => DataType::FixedSizeList(field(r, depth), r.next() as i32),
                    30 => DataType::LargeList(field(r, depth)),
                    31 => DataType::LargeListView(field(r, depth)),
                    32 => DataType::Struct((0..r.below(4)).map(|_| field(r, depth)).collect()),
                    33 => {
                        let n = r.below(4) as i8;
                        let fields: Vec<_> = (0..n).map(|i| (i, field(r, depth))).collect();
                        let mode = if r.coin() { UnionMode::Sparse } else { UnionMode::Dense };
                        DataType::Union(UnionFields::from_iter(fields), mode)
                    }
                    34 => DataType::Dictionary(
                        Box::new(data_type(r, depth + 1)),
                        Box::new(data_type(r, depth + 1)),
                    ),
                    35 => DataType::Decimal128(r.next() as u8, r.next() as i8),
                    36 => DataType::Decimal256(r.next() as u8, r.next() as i8),
                    37 => DataType::Map(field(r, depth), r.coin()),
                    _ => DataType::RunEndEncoded(field(r, depth), field(r, depth)),
                }
            }

            fn type_info(r: &mut Rng, depth: u32) -> ArrowTypeInfo {
                ArrowTypeInfo {
                    data_type: data_type(r, 0),
                    len: r.size(),
                    null_count: r.size(),
                    validity: if r.coin() { Some(r.bytes(40)) } else { None },
                    offset: r.size(),
                    buffer_offsets: (0..r.below(4))
                        .map(|_| BufferOffset { offset: r.size(), len: r.size() })
                        .collect(),
                    child_data: if depth < 3 {
                        (0..r.below(3)).map(|_| type_info(r, depth + 1)).collect()
                    } else {
                        Vec::new()
                    },
                }
            }

            pub fn parameter(r: &mut Rng) -> Parameter {
                let extra: fn(&mut Rng, u64) -> Parameter = $extra_parameter;
                match r.below($parameters) {
                    0 => Parameter::Bool(r.coin()),
                    1 => Parameter::Integer(r.next() as i64),
                    2 => Parameter::String(r.text()),
                    n => extra(r, n),
                }
            }

            fn metadata(r: &mut Rng) -> Metadata {
                let parameters = (0..r.below(5)).map(|_| (r.text(), parameter(r))).collect();
                Metadata::from_parameters(stamp(r), type_info(r, 0), parameters)
            }

            /// A payload, and what a reader says of it: token, region and bytes, or nothing.
            fn data(r: &mut Rng) -> (Option<DataMessage>, Option<String>) {
                match r.below(4) {
                    0 => (None, None),
                    1 => {
                        let bytes = r.bytes(4096);
                        (Some(DataMessage::Vec(aligned_vec::AVec::from_slice(128, &bytes))), None)
                    }
                    _ => {
                        let region = r.region();
                        let len = r.size();
                        let token = DropToken::generate();
                        let said = format!("{} {} {}", token_hex(&token), &region[1..], len);
                        let message = DataMessage::SharedMemory {
                            shared_memory_id: region,
                            len,
                            drop_token: token,
                        };
                        (Some(message), Some(said))
                    }
                }
            }

            fn tokens(r: &mut Rng, expected: &mut Vec<String>, kind: &str) -> Vec<DropToken> {
                let n = if r.below(8) == 0 { r.below(300) } else { r.below(4) };
                let tokens: Vec<_> = (0..n).map(|_| DropToken::generate()).collect();
                expected.push(format!("REQUEST {kind} {n} []"));
                expected.extend(tokens.iter().map(|t| format!("REPORTED {}", token_hex(t))));
                tokens
            }

            fn request(r: &mut Rng) -> (DaemonRequest, Vec<String>) {
                let mut said = Vec::new();
                let request = match r.below(14) {
                    0 => {
                        let flow = uuid::Uuid::from_u128(
                            (u128::from(r.next()) << 64) | u128::from(r.next()),
                        );
                        let node = r.id();
                        let register = NodeRegisterRequest::new(flow, node.clone().into());
                        said.push(format!("REGISTER {flow} [{node}]"));
                        DaemonRequest::Register(register)
                    }
                    1 => {
                        said.push("REQUEST subscribe 0 []".into());
                        DaemonRequest::Subscribe
                    }
                    2 => {
                        let outputs: Vec<_> = (0..r.below(4)).map(|_| r.id()).collect();
                        let first = outputs.first().cloned().unwrap_or_default();
                        said.push(format!("REQUEST close_outputs {} [{first}]", outputs.len()));
                        DaemonRequest::CloseOutputs(outputs.into_iter().map(Into::into).collect())
                    }
                    3 => {
                        said.push("REQUEST outputs_done 0 []".into());
                        DaemonRequest::OutputsDone
                    }
                    4 => DaemonRequest::NextEvent {
                        drop_tokens: tokens(r, &mut said, "next_event"),
                    },
                    5 => DaemonRequest::ReportDropTokens {
                        drop_tokens: tokens(r, &mut said, "other"),
                    },
                    6 => {
                        said.push("REQUEST subscribe_drop 0 []".into());
                        DaemonRequest::SubscribeDrop
                    }
                    7 => {
                        said.push("REQUEST next_drop 0 []".into());
                        DaemonRequest::NextFinishedDropTokens
                    }
                    8 => {
                        said.push("REQUEST event_stream_dropped 0 []".into());
                        DaemonRequest::EventStreamDropped
                    }
                    _ => {
                        let id = r.id();
                        let (data, token) = data(r);
                        said.push(match token {
                            Some(t) => format!("SENT {t} [{id}]"),
                            None => format!("REQUEST send_message 0 [{id}]"),
                        });
                        DaemonRequest::SendMessage {
                            output_id: id.into(),
                            metadata: metadata(r),
                            data,
                        }
                    }
                };
                (request, said)
            }

            fn event(r: &mut Rng, n: u64) -> (NodeEvent, String) {
                let failed: fn(&mut Rng, u64) -> (NodeEvent, String) = $failed;
                match r.below($events + 6) {
                    0 => (NodeEvent::Stop, format!("EVENT stop {n} []")),
                    1 => {
                        let id = if r.coin() { Some(r.id()) } else { None };
                        let said = format!("EVENT reload {n} [{}]", id.clone().unwrap_or_default());
                        (NodeEvent::Reload { operator_id: id.map(Into::into) }, said)
                    }
                    2 => {
                        let id = r.id();
                        let said = format!("EVENT input_closed {n} [{id}]");
                        (NodeEvent::InputClosed { id: id.into() }, said)
                    }
                    3 => (NodeEvent::AllInputsClosed, format!("EVENT all_inputs_closed {n} []")),
                    4 if $events > 4 => failed(r, n),
                    _ => {
                        let id = r.id();
                        let (data, token) = data(r);
                        let said = match token {
                            Some(t) => format!("DELIVERED {t} [{id}]"),
                            None => format!("EVENT input {n} [{id}]"),
                        };
                        (NodeEvent::Input { id: id.into(), metadata: metadata(r), data }, said)
                    }
                }
            }

            fn reply(r: &mut Rng) -> (DaemonReply, Vec<String>) {
                let mut said = Vec::new();
                let reply = match r.below(10) {
                    0 => {
                        said.push("EVENT ok 0 []".into());
                        DaemonReply::Result(Ok(()))
                    }
                    1 => {
                        said.push("EVENT err 0 []".into());
                        DaemonReply::Result(Err(r.text()))
                    }
                    2 | 3 => {
                        let n = r.below(3);
                        if n == 0 {
                            said.push("EVENT drops_end 0 []".into());
                        }
                        DaemonReply::NextDropEvents(
                            (0..n)
                                .map(|_| {
                                    let drop_token = DropToken::generate();
                                    said.push(format!("RETURNED {}", token_hex(&drop_token)));
                                    Timestamped {
                                        inner: NodeDropEvent::OutputDropped { drop_token },
                                        timestamp: stamp(r),
                                    }
                                })
                                .collect(),
                        )
                    }
                    _ => {
                        let n = if r.below(10) == 0 { r.below(60) } else { r.below(4) };
                        if n == 0 {
                            said.push("EVENT events_end 0 []".into());
                        }
                        DaemonReply::NextEvents(
                            (0..n)
                                .map(|_| {
                                    let (inner, what) = event(r, n);
                                    said.push(what);
                                    Timestamped { inner, timestamp: stamp(r) }
                                })
                                .collect(),
                        )
                    }
                };
                (reply, said)
            }

            pub fn frame(r: &mut Rng) {
                if r.coin() {
                    let (inner, said) = request(r);
                    let message = Timestamped { inner, timestamp: stamp(r) };
                    print("bincode", "to", &bincode::serialize(&message).unwrap(), &said);
                } else {
                    let (reply, said) = reply(r);
                    print("bincode", "from", &bincode::serialize(&reply).unwrap(), &said);
                }
            }
        }
    };
}

bincode_generator!(old, m040, arrow_schema_52, uhlc_05, 3, 4, |_, _| unreachable!(), |_, _| {
    unreachable!()
});
bincode_generator!(
    new, m080, arrow_schema_54, uhlc_05, 8, 5,
    |r, n| match n {
        3 => Parameter::ListInt((0..r.below(5)).map(|_| r.next() as i64).collect()),
        4 => Parameter::Float(f64::from_bits(r.next())),
        5 => Parameter::ListFloat((0..r.below(5)).map(|_| f64::from_bits(r.next())).collect()),
        6 => Parameter::ListString((0..r.below(5)).map(|_| r.text()).collect()),
        _ => Parameter::Timestamp(chrono::DateTime::from_timestamp_nanos(r.next() as i64)),
    },
    |r, n| {
        let node = r.id();
        let event = NodeEvent::NodeFailed {
            affected_input_ids: (0..r.below(4)).map(|_| r.id().into()).collect(),
            error: r.text(),
            source_node_id: node.clone().into(),
        };
        (event, format!("EVENT node_failed {n} [{node}]"))
    }
);

fn main() {
    let mut args = std::env::args().skip(1).map(|a| a.parse::<u64>().expect("a number"));
    let mut rng = Rng(args.next().unwrap_or(1).max(1));
    for i in 0..args.next().unwrap_or(1000) {
        match i % 3 {
            0 => old::frame(&mut rng),
            1 => new::frame(&mut rng),
            _ => postcard_1x::frame(&mut rng),
        }
    }
}
