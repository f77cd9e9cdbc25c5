use serde::{Deserialize, Serialize};
use session_manager::{Codec, SessionError};

use crate::support::Context;

super::cases![a_deployment_changes_its_codec_with_live_sessions, every_codec_carries_a_session];

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Cart {
    items: Vec<(String, u32)>,
    coupon: Option<String>,
}

fn cart() -> Cart {
    Cart { items: vec![("book".into(), 2), ("pen".into(), 1)], coupon: None }
}

const CODECS: [Codec; 3] = [Codec::MessagePack, Codec::Json, Codec::Bincode];

async fn every_codec_carries_a_session(context: Context) {
    for codec in CODECS {
        let manager = context.builder().codec(codec).build().expect("settings");
        let session = manager.create();
        session.insert("cart", &cart()).expect("a cart");
        session.update("n", |n: Option<u64>| n.unwrap_or(u64::MAX)).await.expect("an update");
        session.save().await.expect("a save");
        let loaded =
            manager.load(&session.id().expect("it is live")).await.expect("a read").expect("it is live");
        assert_eq!(loaded.get("cart").await.expect("loaded"), Some(cart()));
        assert_eq!(loaded.get("n").await.expect("loaded"), Some(u64::MAX));
        assert!(matches!(loaded.get::<u64>("cart").await, Err(SessionError::Decode { .. })));
    }
}

async fn a_deployment_changes_its_codec_with_live_sessions(context: Context) {
    for (before, after) in CODECS.into_iter().flat_map(|before| CODECS.map(|after| (before, after))) {
        let old = context.builder().codec(before).build().expect("settings");
        let new = context.builder().codec(after).build().expect("settings");
        let (first, id) = context.stored(&old).await;
        first.insert("cart", &cart()).expect("a cart");
        first.save().await.expect("a save");
        for manager in [&new, &old, &new] {
            let session = manager.load(&id).await.expect("a read").expect("it is live");
            assert_eq!(session.get("cart").await.expect("loaded"), Some(cart()));
            session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await.expect("an update");
        }
        assert_eq!(context.load(&id).await.get::<u32>("n").await.expect("loaded"), Some(3));
    }
}
