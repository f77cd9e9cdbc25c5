/// Makes a [`SessionStore`](session_core::SessionStore) of a type that has one within: all methods, those with a default included, go there.
///
/// For backends whose public type is [`Batched`](crate::Batched) over what talks to the server. The second argument is the field, or a method, that gives the
/// store within. The crate that uses this needs `session-core` as a dependency.
///
/// ```
/// use session_batch::{Batched, BatchSettings};
/// use session_memory::MemoryStore; // or any other store
///
/// #[derive(Clone, Debug)]
/// pub struct GatheredStore {
///     gathered: Batched<MemoryStore>,
/// }
///
/// session_batch::forward!(GatheredStore, gathered);
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> session_core::Result<()> {
/// use session_core::SessionStore;
///
/// let store = GatheredStore { gathered: Batched::new(MemoryStore::new(), BatchSettings::default())? };
/// store.ping().await
/// # }
/// ```
#[macro_export]
macro_rules! forward {
    ($store:ty, $($inner:tt)+) => {
        #[deny(clippy::missing_trait_methods)]
        #[::session_core::async_trait]
        impl ::session_core::SessionStore for $store {
            async fn read(
                &self,
                key: &::session_core::SessionKey,
            ) -> ::session_core::Result<Option<::session_core::Record>> {
                self.$($inner)+.read(key).await
            }

            async fn write(
                &self,
                key: &::session_core::SessionKey,
                write: ::session_core::Write,
                when: ::session_core::When,
            ) -> ::session_core::Result<::session_core::WriteOutcome> {
                self.$($inner)+.write(key, write, when).await
            }

            async fn touch(
                &self,
                key: &::session_core::SessionKey,
                ttl: ::session_core::Ttl,
            ) -> ::session_core::Result<bool> {
                self.$($inner)+.touch(key, ttl).await
            }

            async fn delete(
                &self,
                key: &::session_core::SessionKey,
                expected: ::session_core::Expected,
            ) -> ::session_core::Result<::session_core::DeleteOutcome> {
                self.$($inner)+.delete(key, expected).await
            }

            async fn rename(
                &self,
                old: &::session_core::SessionKey,
                new: &::session_core::SessionKey,
                write: ::session_core::Write,
                expected: ::session_core::Version,
            ) -> ::session_core::Result<::session_core::RenameOutcome> {
                self.$($inner)+.rename(old, new, write, expected).await
            }

            async fn read_many(
                &self,
                keys: &[::session_core::SessionKey],
            ) -> Vec<::session_core::Result<Option<::session_core::Record>>> {
                self.$($inner)+.read_many(keys).await
            }

            async fn write_many(
                &self,
                items: &[::session_core::WriteItem],
            ) -> Vec<::session_core::Result<::session_core::WriteOutcome>> {
                self.$($inner)+.write_many(items).await
            }

            async fn touch_many(&self, items: &[::session_core::TouchItem]) -> Vec<::session_core::Result<bool>> {
                self.$($inner)+.touch_many(items).await
            }

            async fn delete_many(
                &self,
                items: &[::session_core::DeleteItem],
            ) -> Vec<::session_core::Result<::session_core::DeleteOutcome>> {
                self.$($inner)+.delete_many(items).await
            }

            async fn ping(&self) -> ::session_core::Result<()> {
                self.$($inner)+.ping().await
            }

            async fn close(&self) -> ::session_core::Result<()> {
                self.$($inner)+.close().await
            }

            fn max_data_len(&self) -> usize {
                self.$($inner)+.max_data_len()
            }

            fn owners(&self) -> Option<&dyn ::session_core::OwnerIndex> {
                self.$($inner)+.owners()
            }

            fn maintenance(&self) -> Option<&dyn ::session_core::Maintenance> {
                self.$($inner)+.maintenance()
            }

            fn watch(&self) -> Option<&dyn ::session_core::Watch> {
                self.$($inner)+.watch()
            }
        }
    };
}
