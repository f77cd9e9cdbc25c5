use std::hint::black_box;

use benches::executor::block_on;
use criterion::Criterion;
use serde::{Deserialize, Serialize};
use session_manager::{Codec, SessionManager};
use session_memory::MemoryStore;

/// A value that a shop might store.
#[derive(Debug, Serialize, Deserialize)]
struct Cart {
    customer: String,
    items: Vec<Item>,
    coupon: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Item {
    article: u64,
    name: String,
    cents: u32,
}

fn cart() -> Cart {
    let item = |article| Item { article, name: format!("article number {article}"), cents: 1_999 };
    Cart { customer: "Ada".to_owned(), items: (0..5).map(item).collect(), coupon: None }
}

/// Values written to and read from a session, by each codec. As always, `insert` includes reading
/// the value back.
pub(crate) fn benchmarks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codecs");
    for (name, codec) in
        [("MessagePack", Codec::MessagePack), ("JSON", Codec::Json), ("bincode", Codec::Bincode)]
    {
        let manager = SessionManager::builder(MemoryStore::new()).codec(codec).build().expect("a manager");
        let session = manager.create();
        let cart = cart();
        session.insert("cart", &cart).expect("it can be encoded");
        session.insert("visits", &42_u64).expect("a number");
        block_on(session.save()).expect("a save");
        let id = session.id().expect("it is stored");
        let loaded = block_on(manager.load(&id)).expect("a read").expect("it is live");
        group.bench_function(format!("{name}: insert a struct"), |bencher| {
            bencher.iter(|| session.insert("cart", black_box(&cart)).expect("it can be encoded"));
        });
        group.bench_function(format!("{name}: get a struct"), |bencher| {
            bencher.iter(|| block_on(loaded.get::<Cart>("cart")).expect("it can be decoded"));
        });
        group.bench_function(format!("{name}: get a number"), |bencher| {
            bencher.iter(|| block_on(loaded.get::<u64>("visits")).expect("a number"));
        });
    }
    group.finish();
}
