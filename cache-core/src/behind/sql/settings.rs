//! The sinks' methods, which are the same for each database.

/// A sink: its struct, its options, the port.
macro_rules! sink {
    ($(#[$doc:meta])* $sink:ident($pool:ty, $database:ty)) => {
        $(#[$doc])*
        #[must_use]
        pub struct $sink<T> {
            inner: Inner<$database>,
            value: PhantomData<fn(&T)>,
        }

        impl<T> $sink<T> {
            /// A sink for this table, by any name: it is quoted. Its key has to be named by [`keyed_by`](Self::keyed_by).
            ///
            /// Nothing is asked of the database yet.
            pub fn new(pool: $pool, table: impl Into<String>) -> Self {
                Self { inner: Inner::new(pool, table.into()), value: PhantomData }
            }

            /// The template of the keys, in which the names of the arguments are columns: `product:{id}`, `price:{product}:{country}`.
            ///
            /// They have to be the primary key, or all of a unique index. The arguments go there as text, which the database casts;
            /// what the value says of these columns is passed over. Of an argument that is nothing (`None`) or has parts (a tuple) there
            /// is no row: it is refused.
            pub fn keyed_by(mut self, template: &str) -> Self {
                self.inner.options.keyed_by = Some(crate::key::Template::parse(template));
                self
            }

            /// The column of the row's version, by default `cache_version`: a `bigint`, better `NOT NULL DEFAULT 0`. It belongs to the
            /// sink; a field of this name is passed over.
            pub fn version_column(mut self, column: impl Into<String>) -> Self {
                self.inner.options.version = column.into();
                self
            }

            /// The column that increments are added to. Without one, a batch with an increment in it is an error.
            ///
            /// The columns of a row that an increment creates have their defaults. A put begins to count anew: from what its value has in
            /// this column, or from 0. What is to be counted whatever is put belongs to a key of its own.
            pub fn counter_column(mut self, column: impl Into<String>) -> Self {
                self.inner.options.counter = Some(column.into());
                self
            }

            /// Stores the whole value in this one column, as JSON. By default each of its fields has a column of its own, and a value
            /// that has no fields (a number, a list) is an error.
            pub fn value_column(mut self, column: impl Into<String>) -> Self {
                self.inner.options.value = Some(column.into());
                self
            }

            /// The columns that a put writes: those that a value has no field for become null. By default they are the fields of each
            /// value, and other columns keep what they have.
            ///
            /// For maps, `#[serde(flatten)]` and enums, whose values have different fields. A struct's field that is left out by
            /// `skip_serializing_if` becomes null in any case.
            pub fn columns<C: Into<String>>(mut self, columns: impl IntoIterator<Item = C>) -> Self {
                self.inner.options.columns = Some(columns.into_iter().map(Into::into).collect());
                self
            }

            /// The table of fences and positions, by default `cache_journal`. It is created if it is missing.
            pub fn journal_table(mut self, table: impl Into<String>) -> Self {
                self.inner.options.journal = table.into();
                self
            }

            /// How long a batch may take, with the wait for a connection, by default 30 s. After that it is
            /// [`Unavailable`](crate::behind::SinkError::Unavailable).
            pub fn timeout(mut self, timeout: std::time::Duration) -> Self {
                self.inner.options.timeout = timeout;
                self
            }

            /// Holds the table against the options now, and not at the first write; creates the journal table if it is missing.
            ///
            /// # Errors
            ///
            /// [`Unavailable`](crate::behind::SinkError::Unavailable), with what does not fit and what to do about it, or that the
            /// database cannot be reached.
            pub async fn check(&self) -> Result<(), crate::behind::SinkError> {
                self.inner.check().await
            }
        }

        impl<T: serde::Serialize + Send + Sync + 'static> crate::behind::Sink<T> for $sink<T> {
            /// Dropped before it is done, it is rolled back, or committed if that was under way.
            async fn write(
                &self,
                batch: &crate::behind::Batch<T>,
            ) -> Result<Vec<crate::behind::Written>, crate::behind::SinkError> {
                self.inner.write(batch).await
            }

            async fn position(
                &self,
                partition: &crate::behind::Partition,
            ) -> Result<Option<crate::behind::Position>, crate::behind::SinkError> {
                self.inner.position(partition).await
            }

            async fn claim(
                &self,
                partition: &crate::behind::Partition,
                fence: u64,
            ) -> Result<Option<crate::behind::Position>, crate::behind::SinkError> {
                self.inner.claim(partition, fence).await
            }
        }

        impl<T> fmt::Debug for $sink<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($sink)).field("options", &self.inner.options).finish_non_exhaustive()
            }
        }
    };
}

pub(super) use sink;
