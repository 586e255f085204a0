//! The labels of the gateway's own metrics. Every value is known beforehand, so that no request can make
//! up a new series.

use crate::model::LabelSet;

/// A label, or several, whose values are known beforehand and counted through.
pub trait LabelValue: Copy {
    /// The label names.
    const LABELS: &'static [&'static str];
    /// How many values (or combinations) there are.
    const COUNT: usize;
    /// Whether a series that has counted nothing is shown, as it should be wherever that is affordable.
    const SHOW_ZEROS: bool;

    /// This value's place, below [`Self::COUNT`].
    fn index(self) -> usize;

    /// The labels of the value at that place.
    fn labels(index: usize) -> LabelSet;
}

/// Declares an enum of label values, each with its text and with its meaning, which the documentation shows.
macro_rules! label_values {
    ($(#[$meta:meta])* $name:ident, $label:literal {
        $($(#[doc = $doc:literal])+ $variant:ident = $text:literal,)+
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[doc = $doc])+ $variant,)+ }

        impl $name {
            const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Each value's text and meaning, in the order of the values.
            #[cfg(test)]
            #[allow(dead_code, reason = "the documentation lists those whose texts do not say it all")]
            pub(super) const MEANINGS: &'static [(&'static str, &'static str)] =
                &[$(($text, concat!($($doc),+).trim_ascii_start()),)+];

            /// The text of the label.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl LabelValue for $name {
            const LABELS: &'static [&'static str] = &[$label];
            const COUNT: usize = Self::ALL.len();
            const SHOW_ZEROS: bool = true;

            fn index(self) -> usize {
                self as usize
            }

            fn labels(index: usize) -> LabelSet {
                LabelSet::new([($label, Self::ALL[index].as_str())])
            }
        }
    };
}

label_values! {
    /// Why a push was not accepted.
    Reason, "reason" {
        /// The body is not what its format demands.
        Parse = "parse",
        /// The path is not a grouping key.
        Path = "path",
        /// The body cannot be inflated, is cut short, comes too slowly, or has an unknown encoding.
        Encoding = "encoding",
        /// The body or the path is too large.
        Size = "size",
        /// A sample carries a timestamp.
        Timestamp = "timestamp",
        /// A type contradicts the stored one.
        Type = "type",
        /// A metric or label name is reserved, invalid or collides with another.
        Name = "name",
        /// A series is there already, in the push or in another group.
        Duplicate = "duplicate",
        /// A value is not one that its type can have.
        Value = "value",
        /// The sender may not push: no right password, no right to, or too many requests.
        Access = "access",
        /// A limit on what is stored would be exceeded.
        Limit = "limit",
        /// Too many pushes wait, or their bodies take all the memory that they may.
        QueueFull = "queue_full",
        /// The store cannot be written.
        Storage = "storage",
        /// The request asks for something that is not there yet.
        NotImplemented = "not_implemented",
        /// The gateway is stopping.
        Shutdown = "shutdown",
    }
}

label_values! {
    /// How something went.
    Outcome, "outcome" {
        /// Well.
        Success = "success",
        /// Not.
        Failure = "failure",
    }
}

label_values! {
    /// Why a scrape left a family out.
    LeftOut, "reason" {
        /// Writing it failed.
        Failed = "failed",
        /// It is the gateway's own, and a stored one of that name has another type.
        Type = "type",
        /// In the format asked for, its name or those of its labels cannot be told from others.
        Name = "name",
    }
}

label_values! {
    /// What answered a request, by the names of Pushgateway.
    Handler, "handler" {
        /// A push by PUT or POST.
        Push = "push",
        /// A DELETE of a group.
        Delete = "delete",
        /// The deletion of all groups.
        Wipe = "wipe",
        /// `/-/healthy`.
        Healthy = "healthy",
        /// `/-/ready`.
        Ready = "ready",
        /// The page at `/` and `/status`.
        Status = "status",
        /// The JSON API's `/api/v1/status`.
        ApiStatus = "api/v1/status",
        /// The JSON API's `/api/v1/metrics`.
        ApiMetrics = "api/v1/metrics",
        /// OPTIONS anywhere in the JSON API.
        ApiOptions = "api/v1/options",
    }
}

label_values! {
    /// The method of a push.
    PushMethod, "method" {
        /// PUT.
        Put = "put",
        /// POST.
        Post = "post",
    }
}

label_values! {
    /// The method of a request.
    Method, "method" {
        /// GET.
        Get = "get",
        /// PUT.
        Put = "put",
        /// POST.
        Post = "post",
        /// DELETE.
        Delete = "delete",
        /// HEAD.
        Head = "head",
        /// OPTIONS.
        Options = "options",
        /// Any other.
        Other = "other",
    }
}

impl Method {
    /// The label for the method of a request, written as in the request.
    pub fn of(method: &str) -> Self {
        match method {
            "GET" => Self::Get,
            "PUT" => Self::Put,
            "POST" => Self::Post,
            "DELETE" => Self::Delete,
            "HEAD" => Self::Head,
            "OPTIONS" => Self::Options,
            _ => Self::Other,
        }
    }
}

/// A status code of HTTP; those outside 100 to 599 count as 500, which no handler sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusCode(pub u16);

impl StatusCode {
    const FIRST: u16 = 100;
    const COUNT: usize = 500;

    fn index(self) -> usize {
        let code = if (Self::FIRST..600).contains(&self.0) { self.0 } else { 500 };
        usize::from(code - Self::FIRST)
    }
}

/// Requests are told apart by what answered, by method and by status code. Only combinations that have
/// happened are shown.
impl LabelValue for (Handler, Method, StatusCode) {
    const LABELS: &'static [&'static str] = &["code", "handler", "method"];
    const COUNT: usize = Handler::COUNT * <(Method, StatusCode)>::COUNT;
    const SHOW_ZEROS: bool = false;

    fn index(self) -> usize {
        let (handler, method, code) = self;
        handler.index() * <(Method, StatusCode)>::COUNT + (method, code).index()
    }

    fn labels(index: usize) -> LabelSet {
        let (handler, rest) = (index / <(Method, StatusCode)>::COUNT, index % <(Method, StatusCode)>::COUNT);
        let (method, code) = method_and_code(rest);
        LabelSet::new([("handler", Handler::ALL[handler].as_str()), ("method", method), ("code", &code)])
    }
}

/// The same without what answered.
impl LabelValue for (Method, StatusCode) {
    const LABELS: &'static [&'static str] = &["code", "method"];
    const COUNT: usize = Method::COUNT * StatusCode::COUNT;
    const SHOW_ZEROS: bool = false;

    fn index(self) -> usize {
        let (method, code) = self;
        method.index() * StatusCode::COUNT + code.index()
    }

    fn labels(index: usize) -> LabelSet {
        let (method, code) = method_and_code(index);
        LabelSet::new([("method", method), ("code", &code)])
    }
}

fn method_and_code(index: usize) -> (&'static str, String) {
    let (method, code) = (index / StatusCode::COUNT, index % StatusCode::COUNT);
    (Method::ALL[method].as_str(), (code + usize::from(StatusCode::FIRST)).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Request = (Handler, Method, StatusCode);

    #[test]
    fn a_request_finds_its_own_labels() {
        for (request, labels) in [
            ((Handler::Push, Method::Get, StatusCode(100)), r#"{code="100",handler="push",method="get"}"#),
            (
                (Handler::ApiMetrics, Method::Get, StatusCode(200)),
                r#"{code="200",handler="api/v1/metrics",method="get"}"#,
            ),
            (
                (Handler::ApiOptions, Method::Other, StatusCode(599)),
                r#"{code="599",handler="api/v1/options",method="other"}"#,
            ),
        ] {
            assert_eq!(Request::labels(request.index()).to_string(), labels);
        }
        let other = (Method::Put, StatusCode(404));
        assert_eq!(<(Method, StatusCode)>::labels(other.index()).to_string(), r#"{code="404",method="put"}"#);
    }

    #[test]
    fn no_request_is_out_of_range() {
        for code in [0, 99, 600, u16::MAX] {
            let index = (Handler::ApiOptions, Method::of("BREW"), StatusCode(code)).index();
            assert!(index < Request::COUNT, "{code}");
            assert!(Request::labels(index).to_string().contains("code=\"500\""), "{code}");
        }
    }

    #[test]
    fn methods_are_told_by_their_exact_name() {
        assert_eq!(Method::of("PUT"), Method::Put);
        assert_eq!(Method::of("put"), Method::Other);
    }
}
