//! Tuples as keys, and their first parts as prefixes.

use super::{AsKey, Key, Prefix};

macro_rules! tuple_key {
    ($($key:ident $asked:ident $place:tt),*) => {
        impl<$($key, $asked: AsKey<$key>),*> AsKey<($($key,)*)> for ($($asked,)*) {
            fn encode(&self, out: &mut Vec<u8>) {
                $(self.$place.encode(out);)*
            }
        }

        impl<$($key: Key),*> Key for ($($key,)*) {
            fn form() -> String {
                format!("({})", [$($key::form()),*].join(", "))
            }

            fn decode(bytes: &mut &[u8]) -> Option<Self> {
                Some(($($key::decode(bytes)?,)*))
            }
        }
    };
}

tuple_key!(A Q 0);
tuple_key!(A Q 0, B R 1);
tuple_key!(A Q 0, B R 1, C S 2);
tuple_key!(A Q 0, B R 1, C S 2, D T 3);
tuple_key!(A Q 0, B R 1, C S 2, D T 3, E U 4);
tuple_key!(A Q 0, B R 1, C S 2, D T 3, E U 4, F V 5);
tuple_key!(A Q 0, B R 1, C S 2, D T 3, E U 4, F V 5, G W 6);
tuple_key!(A Q 0, B R 1, C S 2, D T 3, E U 4, F V 5, G W 6, H X 7);

impl<A, B, Q: AsKey<A> + ?Sized> Prefix<(A, B)> for Q {
    fn encode_prefix(&self, out: &mut Vec<u8>) {
        self.encode(out);
    }
}

macro_rules! tuple_prefix {
    (($($key:ident $asked:ident),*) ($($rest:ident),*)) => {
        impl<$($key, $asked: AsKey<$key>,)* $($rest),*> Prefix<($($key,)* $($rest,)*)> for ($($asked,)*) {
            fn encode_prefix(&self, out: &mut Vec<u8>) {
                AsKey::<($($key,)*)>::encode(self, out);
            }
        }
    };
}

tuple_prefix!((A Q) (B, C));
tuple_prefix!((A Q, B R) (C));
tuple_prefix!((A Q) (B, C, D));
tuple_prefix!((A Q, B R) (C, D));
tuple_prefix!((A Q, B R, C S) (D));
tuple_prefix!((A Q) (B, C, D, E));
tuple_prefix!((A Q, B R) (C, D, E));
tuple_prefix!((A Q, B R, C S) (D, E));
tuple_prefix!((A Q, B R, C S, D T) (E));
tuple_prefix!((A Q) (B, C, D, E, F));
tuple_prefix!((A Q, B R) (C, D, E, F));
tuple_prefix!((A Q, B R, C S) (D, E, F));
tuple_prefix!((A Q, B R, C S, D T) (E, F));
tuple_prefix!((A Q, B R, C S, D T, E U) (F));
tuple_prefix!((A Q) (B, C, D, E, F, G));
tuple_prefix!((A Q, B R) (C, D, E, F, G));
tuple_prefix!((A Q, B R, C S) (D, E, F, G));
tuple_prefix!((A Q, B R, C S, D T) (E, F, G));
tuple_prefix!((A Q, B R, C S, D T, E U) (F, G));
tuple_prefix!((A Q, B R, C S, D T, E U, F V) (G));
tuple_prefix!((A Q) (B, C, D, E, F, G, H));
tuple_prefix!((A Q, B R) (C, D, E, F, G, H));
tuple_prefix!((A Q, B R, C S) (D, E, F, G, H));
tuple_prefix!((A Q, B R, C S, D T) (E, F, G, H));
tuple_prefix!((A Q, B R, C S, D T, E U) (F, G, H));
tuple_prefix!((A Q, B R, C S, D T, E U, F V) (G, H));
tuple_prefix!((A Q, B R, C S, D T, E U, F V, G W) (H));
