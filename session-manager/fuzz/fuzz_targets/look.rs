use std::collections::BTreeMap;

use session_manager::payload::Payload;

/// Calls every accessor of a payload.
pub fn look(bytes: Vec<u8>) {
    let Ok(payload) = Payload::decode(bytes) else { return };
    let keys: Vec<String> = payload.keys().map(str::to_owned).collect();
    for key in keys {
        let _ = payload.get::<serde_json::Value>(&key);
        let _ = payload.get::<BTreeMap<String, Vec<Option<f64>>>>(&key);
        let _ = payload.get::<String>(&key);
        let _ = payload.get::<Vec<(u64, bool)>>(&key);
    }
    let _ = (payload.created(), payload.saved(), payload.label().map(str::len), payload.codec());
}
