/// Implements [`SessionStore`](session_core::SessionStore) for a type by the store in one of its
/// fields: every method is forwarded, those with a default included.
///
/// For stores whose public type is [`Batched`](crate::Batched) over a backend. The second argument is
/// the field, or a method call that returns the inner store. The crate that uses this needs
/// `session-core` as a dependency.
///
/// ```
/// use session_backend::{Batched, BatchSettings};
/// use session_memory::MemoryStore; // or any other store
///
/// #[derive(Clone, Debug)]
/// pub struct GatheredStore {
///     gathered: Batched<MemoryStore>,
/// }
///
/// session_backend::forward!(GatheredStore, gathered);
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
                ::session_core::SessionStore::read(&self.$($inner)+, key).await
            }

            async fn write(
                &self,
                key: &::session_core::SessionKey,
                write: ::session_core::Write,
                when: ::session_core::When,
            ) -> ::session_core::Result<::session_core::WriteOutcome> {
                ::session_core::SessionStore::write(&self.$($inner)+, key, write, when).await
            }

            async fn touch(
                &self,
                key: &::session_core::SessionKey,
                ttl: ::session_core::Ttl,
            ) -> ::session_core::Result<bool> {
                ::session_core::SessionStore::touch(&self.$($inner)+, key, ttl).await
            }

            async fn delete(
                &self,
                key: &::session_core::SessionKey,
                expected: ::session_core::Expected,
            ) -> ::session_core::Result<::session_core::DeleteOutcome> {
                ::session_core::SessionStore::delete(&self.$($inner)+, key, expected).await
            }

            async fn rename(
                &self,
                old: &::session_core::SessionKey,
                new: &::session_core::SessionKey,
                write: ::session_core::Write,
                expected: ::session_core::Version,
            ) -> ::session_core::Result<::session_core::RenameOutcome> {
                ::session_core::SessionStore::rename(&self.$($inner)+, old, new, write, expected).await
            }

            async fn read_many(
                &self,
                keys: &[::session_core::SessionKey],
            ) -> Vec<::session_core::Result<Option<::session_core::Record>>> {
                ::session_core::SessionStore::read_many(&self.$($inner)+, keys).await
            }

            async fn write_many(
                &self,
                items: &[::session_core::WriteItem],
            ) -> Vec<::session_core::Result<::session_core::WriteOutcome>> {
                ::session_core::SessionStore::write_many(&self.$($inner)+, items).await
            }

            async fn touch_many(&self, items: &[::session_core::TouchItem]) -> Vec<::session_core::Result<bool>> {
                ::session_core::SessionStore::touch_many(&self.$($inner)+, items).await
            }

            async fn delete_many(
                &self,
                items: &[::session_core::DeleteItem],
            ) -> Vec<::session_core::Result<::session_core::DeleteOutcome>> {
                ::session_core::SessionStore::delete_many(&self.$($inner)+, items).await
            }

            async fn ping(&self) -> ::session_core::Result<()> {
                ::session_core::SessionStore::ping(&self.$($inner)+).await
            }

            async fn close(&self) -> ::session_core::Result<()> {
                ::session_core::SessionStore::close(&self.$($inner)+).await
            }

            fn max_data_len(&self) -> usize {
                ::session_core::SessionStore::max_data_len(&self.$($inner)+)
            }

            fn owners(&self) -> Option<&dyn ::session_core::OwnerIndex> {
                ::session_core::SessionStore::owners(&self.$($inner)+)
            }

            fn maintenance(&self) -> Option<&dyn ::session_core::Maintenance> {
                ::session_core::SessionStore::maintenance(&self.$($inner)+)
            }

            fn watch(&self) -> Option<&dyn ::session_core::Watch> {
                ::session_core::SessionStore::watch(&self.$($inner)+)
            }
        }
    };
}
