use std::sync::LazyLock;

/// A script that changes or looks at several keys in one step, known to the server by the hash of its text.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) text: &'static str,
    hash: LazyLock<String>,
}

impl Script {
    pub(crate) fn hash(&self) -> &str {
        &self.hash
    }
}

macro_rules! script {
    ($name:ident, $file:literal) => {
        pub(crate) static $name: Script = {
            const TEXT: &str = concat!(include_str!("scripts/prelude.lua"), include_str!($file));
            Script { text: TEXT, hash: LazyLock::new(|| redis::Script::new(TEXT).get_hash().to_owned()) }
        };
    };
}

script!(WRITE, "scripts/write.lua");
script!(TOUCH, "scripts/touch.lua");
script!(DELETE, "scripts/delete.lua");
script!(RENAME, "scripts/rename.lua");
script!(LIST_OWNER, "scripts/list_owner.lua");
script!(DELETE_OWNER, "scripts/delete_owner.lua");
script!(LIFT_FENCE, "scripts/lift_fence.lua");
