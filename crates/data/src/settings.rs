//! How a struct of settings is declared: each option once, with its meaning and its default.

/// Declares a struct of settings. Each field is written once, with its documentation and its default, which the docs
/// show. The struct gets `Default`; serde uses the default for fields that are missing.
///
/// ```
/// sciurus_data::settings! {
///     /// How long to train.
///     pub struct Fit {
///         /// Epochs, at least 1.
///         pub epochs: usize = 4,
///     }
/// }
/// assert_eq!(Fit::default().epochs, 4);
/// ```
#[macro_export]
macro_rules! settings {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$field_meta:meta])* pub $field:ident: $type:ty = $default:expr,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(default)]
        pub struct $name {
            $(
                $(#[$field_meta])*
                #[doc = concat!("\n\nDefault: `", stringify!($default), "`.")]
                pub $field: $type,
            )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }
    };
}
