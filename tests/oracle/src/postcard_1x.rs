// SPDX-License-Identifier: MIT
//! Frames of dora-message 1.1.0: postcard.

use super::{print, Rng};
use m110::{
    common::{DataMessage, Timestamped},
    daemon_to_node::{DaemonReply, NodeEvent},
    metadata::{Metadata, Parameter},
    node_to_daemon::{DaemonRequest, NodeRegisterRequest},
    uhlc,
};
use std::sync::Arc;

fn stamp(r: &mut Rng) -> uhlc::Timestamp {
    let mut id = [0u8; 16];
    for b in id.iter_mut().take(1 + r.below(16) as usize) {
        *b = r.next() as u8 | 1;
    }
    let time = r.next() >> r.below(64);
    uhlc::Timestamp::new(uhlc::NTP64(time), uhlc::ID::try_from(&id[..]).unwrap())
}

fn parameter(r: &mut Rng) -> Parameter {
    match r.below(8) {
        0 => Parameter::Bool(r.coin()),
        1 => Parameter::Integer(r.next() as i64),
        2 => Parameter::String(r.text()),
        3 => Parameter::ListInt((0..r.below(5)).map(|_| r.next() as i64).collect()),
        4 => Parameter::Float(f64::from_bits(r.next())),
        5 => Parameter::ListFloat((0..r.below(5)).map(|_| r.next() as f64).collect()),
        6 => Parameter::ListString((0..r.below(5)).map(|_| r.text()).collect()),
        _ => Parameter::Timestamp(chrono::DateTime::from_timestamp_nanos(r.next() as i64)),
    }
}

fn metadata(r: &mut Rng) -> Metadata {
    let parameters = (0..r.below(5)).map(|_| (r.text(), parameter(r))).collect();
    Metadata::from_parameters(stamp(r), parameters)
}

fn data(r: &mut Rng) -> Option<DataMessage> {
    if r.below(4) == 0 {
        return None;
    }
    let bytes = r.bytes(6000);
    Some(DataMessage::Vec(m110::aligned_vec::AVec::from_slice(128, &bytes)))
}

fn request(r: &mut Rng) -> (DaemonRequest, String) {
    match r.below(12) {
        0 => {
            let flow =
                uuid::Uuid::from_u128((u128::from(r.next()) << 64) | u128::from(r.next()));
            let node = r.plain_id();
            let register = NodeRegisterRequest::new(flow, node.clone().into());
            (DaemonRequest::Register(register), format!("REGISTER {flow} [{node}]"))
        }
        1 => (DaemonRequest::Subscribe, "REQUEST subscribe 0 []".into()),
        2 => {
            let id = r.plain_id();
            let said = format!("REQUEST send_message 0 [{id}]");
            let (output_id, metadata) = (id.into(), metadata(r));
            (DaemonRequest::OutputSent { output_id, metadata }, said)
        }
        3 => {
            let outputs: Vec<_> = (0..r.below(4)).map(|_| r.plain_id()).collect();
            let first = outputs.first().cloned().unwrap_or_default();
            let said = format!("REQUEST close_outputs {} [{first}]", outputs.len());
            let outputs = outputs.into_iter().map(Into::into).collect();
            (DaemonRequest::CloseOutputs(outputs), said)
        }
        4 => (DaemonRequest::OutputsDone, "REQUEST outputs_done 0 []".into()),
        5 => (DaemonRequest::NextEvent, "REQUEST next_event 0 []".into()),
        6 => {
            (DaemonRequest::EventStreamDropped, "REQUEST event_stream_dropped 0 []".into())
        }
        7 => {
            let (namespace, key, value) = (r.text(), r.text(), r.bytes(300));
            let request = DaemonRequest::ExtensionStore { namespace, key, value };
            (request, "REQUEST other 0 []".into())
        }
        8 => {
            let (namespace, key, remove) = (r.text(), r.text(), r.coin());
            let request = DaemonRequest::ExtensionLoad { namespace, key, remove };
            (request, "REQUEST other 0 []".into())
        }
        _ => {
            let id = r.plain_id();
            let said = format!("REQUEST send_message 0 [{id}]");
            let (output_id, metadata, data) = (id.into(), metadata(r), data(r));
            (DaemonRequest::SendMessage { output_id, metadata, data }, said)
        }
    }
}

fn event(r: &mut Rng, n: u64) -> (NodeEvent, String) {
    let id = r.plain_id();
    match r.below(14) {
        0 => (NodeEvent::Stop, format!("EVENT stop {n} []")),
        1 => {
            let said = format!("EVENT reload {n} [{id}]");
            (NodeEvent::Reload { operator_id: Some(id.into()) }, said)
        }
        2 => (NodeEvent::Reload { operator_id: None }, format!("EVENT reload {n} []")),
        3 => {
            let said = format!("EVENT input_closed {n} [{id}]");
            (NodeEvent::InputClosed { id: id.into() }, said)
        }
        4 => {
            let said = format!("EVENT other {n} [{id}]");
            (NodeEvent::InputRecovered { id: id.into() }, said)
        }
        5 => {
            let said = format!("EVENT other {n} [{id}]");
            (NodeEvent::NodeRestarted { id: id.into() }, said)
        }
        6 => (NodeEvent::AllInputsClosed, format!("EVENT all_inputs_closed {n} []")),
        7 => {
            let event = NodeEvent::ParamUpdate { key: r.text(), value_json: r.bytes(200) };
            (event, format!("EVENT other {n} []"))
        }
        8 => (NodeEvent::ParamDeleted { key: r.text() }, format!("EVENT other {n} []")),
        9 => {
            let event = NodeEvent::NodeFailed {
                affected_input_ids: (0..r.below(4)).map(|_| r.plain_id().into()).collect(),
                error: r.text(),
                source_node_id: id.clone().into(),
            };
            (event, format!("EVENT node_failed {n} [{id}]"))
        }
        _ => {
            let said = format!("EVENT input {n} [{id}]");
            let (metadata, data) = (Arc::new(metadata(r)), data(r).map(Arc::new));
            (NodeEvent::Input { id: id.into(), metadata, data }, said)
        }
    }
}

pub fn frame(r: &mut Rng) {
    if r.coin() {
        let (inner, said) = request(r);
        let message = Timestamped { inner, timestamp: stamp(r) };
        print("postcard", "to", &postcard::to_stdvec(&message).unwrap(), &[said]);
        return;
    }
    let mut said = Vec::new();
    let reply = match r.below(6) {
        0 => {
            said.push("EVENT ok 0 []".into());
            DaemonReply::Result(Ok(()))
        }
        1 => {
            said.push("EVENT err 0 []".into());
            DaemonReply::Result(Err(r.text()))
        }
        _ => {
            let n = if r.below(10) == 0 { r.below(40) } else { r.below(4) };
            if n == 0 {
                said.push("EVENT events_end 0 []".into());
            }
            let mut events = Vec::new();
            for _ in 0..n {
                let (inner, what) = event(r, n);
                said.push(what);
                events.push(Timestamped { inner, timestamp: stamp(r) });
            }
            DaemonReply::NextEvents(events)
        }
    };
    print("postcard", "from", &postcard::to_stdvec(&reply).unwrap(), &said);
}
