//! Several aggregates as one.

use super::Aggregate;
use crate::Seq;

macro_rules! tuple {
    ($($name:ident $place:tt),+) => {
        impl<T, $($name: Aggregate<T>),+> Aggregate<T> for ($($name,)+) {
            type State = ($($name::State,)+);
            type Value = ($($name::Value,)+);

            fn form(&self) -> String {
                format!("({})", [$(self.$place.form()),+].join(", "))
            }

            fn add(&self, state: &mut Self::State, seq: Seq, item: &T) {
                $(self.$place.add(&mut state.$place, seq, item);)+
            }

            fn merge(&self, state: &mut Self::State, part: &Self::State) {
                $(self.$place.merge(&mut state.$place, &part.$place);)+
            }

            fn subtract(&self, state: &mut Self::State, part: &Self::State) -> bool {
                $(self.$place.subtract(&mut state.$place, &part.$place))&&+
            }

            fn value(&self, state: &Self::State) -> Self::Value {
                ($(self.$place.value(&state.$place),)+)
            }
        }
    };
}

tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
tuple!(A 0, B 1, C 2, D 3, E 4);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5);
