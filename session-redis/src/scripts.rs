use std::sync::LazyLock;

/// A script that reads or changes several keys in one step. The server knows it by the hash of its
/// text.
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
        script!(
            $name,
            include_str!("scripts/declared.lua"),
            include_str!("scripts/prelude.lua"),
            include_str!($file)
        );
    };
    ($name:ident, $($part:expr),+) => {
        pub(crate) static $name: Script = {
            const TEXT: &str = concat!($($part),+);
            Script { text: TEXT, hash: LazyLock::new(|| redis::Script::new(TEXT).get_hash().to_owned()) }
        };
    };
}

// Each call defines the functions of the prelude, which costs time. Most writes need none of them.
script!(
    WRITE,
    include_str!("scripts/declared.lua"),
    "local function any_case()\n",
    include_str!("scripts/prelude.lua"),
    include_str!("scripts/write_any.lua"),
    "end\n",
    include_str!("scripts/write.lua")
);
script!(TOUCH, "scripts/touch.lua");
script!(DELETE, "scripts/delete.lua");
script!(RENAME, "scripts/rename.lua");
script!(LIST_OWNER, "scripts/list_owner.lua");
script!(DELETE_OWNER, "scripts/delete_owner.lua");
script!(LIFT_FENCE, include_str!("scripts/lift_fence.lua"));
script!(SWEEP, include_str!("scripts/sweep.lua"));
