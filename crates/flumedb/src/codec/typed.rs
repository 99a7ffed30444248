//! What the codecs of serde types share: a type that is nothing but a name for `T`'s form.

/// The most containers inside one another that a decoder follows: hostile bytes must not end the program by filling the
/// stack.
pub(super) const MAX_DEPTH: usize = 128;

/// Declares a codec type over `T` that holds nothing, with the traits that `derive` would bind to `T`.
macro_rules! typed_codec {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name<T>(std::marker::PhantomData<fn() -> T>);

        impl<T> $name<T> {
            /// The codec.
            pub const fn new() -> Self {
                Self(std::marker::PhantomData)
            }
        }

        impl<T> Clone for $name<T> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<T> Copy for $name<T> {}

        impl<T> Default for $name<T> {
            fn default() -> Self {
                Self::new()
            }
        }

        impl<T> std::fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    };
}

pub(super) use typed_codec;
