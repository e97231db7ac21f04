//! The structures of `mosquitto_plugin.h` and `mosquitto_broker.h` (plugin interface 5). A test
//! compares them with the headers of this machine.

use std::ffi::{c_char, c_int, c_void};

pub(crate) const PLUGIN_VERSION: c_int = 5;

pub(crate) const EVT_RELOAD: c_int = 1;
pub(crate) const EVT_ACL_CHECK: c_int = 2;
pub(crate) const EVT_BASIC_AUTH: c_int = 3;
pub(crate) const EVT_TICK: c_int = 9;
pub(crate) const EVT_DISCONNECT: c_int = 10;

pub(crate) const ACL_READ: c_int = 1;
pub(crate) const ACL_WRITE: c_int = 2;
pub(crate) const ACL_SUBSCRIBE: c_int = 4;
pub(crate) const ACL_UNSUBSCRIBE: c_int = 8;

// From mosquitto.h, which is the client library's.
pub(crate) const ERR_SUCCESS: c_int = 0;
pub(crate) const ERR_INVAL: c_int = 3;
pub(crate) const ERR_AUTH: c_int = 11;
pub(crate) const ERR_ACL_DENIED: c_int = 12;
pub(crate) const ERR_UNKNOWN: c_int = 13;
pub(crate) const ERR_PLUGIN_DEFER: c_int = 17;

pub(crate) const LOG_NOTICE: c_int = 2;
pub(crate) const LOG_WARNING: c_int = 4;
pub(crate) const LOG_ERR: c_int = 8;

/// `struct mosquitto`, a connected client: known by its address alone.
#[repr(C)]
pub(crate) struct Client {
    _opaque: [u8; 0],
}

/// `mosquitto_plugin_id_t`.
#[repr(C)]
pub(crate) struct PluginId {
    _opaque: [u8; 0],
}

/// `struct mosquitto_opt`.
#[repr(C)]
pub(crate) struct Opt {
    pub(crate) key: *mut c_char,
    pub(crate) value: *mut c_char,
}

/// `struct mosquitto_evt_acl_check`.
#[repr(C)]
pub(crate) struct AclCheck {
    pub(crate) future: *mut c_void,
    pub(crate) client: *mut Client,
    pub(crate) topic: *const c_char,
    pub(crate) payload: *const c_void,
    pub(crate) properties: *mut c_void,
    pub(crate) access: c_int,
    pub(crate) payloadlen: u32,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) future2: [*mut c_void; 4],
}

/// `struct mosquitto_evt_basic_auth`.
#[repr(C)]
pub(crate) struct BasicAuth {
    pub(crate) future: *mut c_void,
    pub(crate) client: *mut Client,
    pub(crate) username: *mut c_char,
    pub(crate) password: *mut c_char,
    pub(crate) future2: [*mut c_void; 4],
}

/// `struct mosquitto_evt_disconnect`.
#[repr(C)]
pub(crate) struct Disconnect {
    pub(crate) future: *mut c_void,
    pub(crate) client: *mut Client,
    pub(crate) reason: c_int,
    pub(crate) future2: [*mut c_void; 4],
}

/// `MOSQ_FUNC_generic_callback`.
pub(crate) type Callback = extern "C" fn(c_int, *mut c_void, *mut c_void) -> c_int;

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};
    use std::process::Command;

    /// Asks the C compiler for sizes, offsets and numbers of the installed headers.
    fn of_the_headers(expressions: &[String]) -> Vec<usize> {
        let dir = tempfile::tempdir().expect("a folder");
        let (source, program) = (dir.path().join("layout.c"), dir.path().join("layout"));
        let prints = expressions.iter().map(|e| format!("printf(\"%zu\\n\", (size_t)({e}));"));
        let text = format!(
            "#include <stddef.h>\n#include <stdio.h>\n#include <mosquitto_broker.h>\n\
             #include <mosquitto_plugin.h>\nint main(void) {{ {} return 0; }}\n",
            prints.collect::<String>()
        );
        std::fs::write(&source, text).expect("written");
        let compiled = Command::new("cc").arg(&source).arg("-o").arg(&program).output();
        let compiled = compiled.expect("a C compiler, and mosquitto-dev for its headers");
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        let output = Command::new(&program).output().expect("it runs").stdout;
        let output = String::from_utf8(output).expect("numbers");
        output.lines().map(|line| line.parse().expect("a number")).collect()
    }

    macro_rules! layouts {
        ($($c:literal $rust:ident { $($field:ident),* })*) => {{
            let mut expected: Vec<(String, usize)> = Vec::new();
            $(
                expected.push((format!("sizeof(struct {})", $c), size_of::<$rust>()));
                $(expected.push((
                    format!("offsetof(struct {}, {})", $c, stringify!($field)),
                    offset_of!($rust, $field),
                ));)*
            )*
            expected
        }};
    }

    #[test]
    fn structures_and_numbers_are_those_of_the_headers() {
        let mut expected = layouts! {
            "mosquitto_opt" Opt { key, value }
            "mosquitto_evt_acl_check" AclCheck {
                future, client, topic, payload, properties, access, payloadlen, qos, retain, future2
            }
            "mosquitto_evt_basic_auth" BasicAuth { future, client, username, password, future2 }
            "mosquitto_evt_disconnect" Disconnect { future, client, reason, future2 }
        };
        for (name, number) in [
            ("MOSQ_PLUGIN_VERSION", PLUGIN_VERSION),
            ("MOSQ_EVT_RELOAD", EVT_RELOAD),
            ("MOSQ_EVT_ACL_CHECK", EVT_ACL_CHECK),
            ("MOSQ_EVT_BASIC_AUTH", EVT_BASIC_AUTH),
            ("MOSQ_EVT_TICK", EVT_TICK),
            ("MOSQ_EVT_DISCONNECT", EVT_DISCONNECT),
            ("MOSQ_ACL_READ", ACL_READ),
            ("MOSQ_ACL_WRITE", ACL_WRITE),
            ("MOSQ_ACL_SUBSCRIBE", ACL_SUBSCRIBE),
            ("MOSQ_ACL_UNSUBSCRIBE", ACL_UNSUBSCRIBE),
        ] {
            expected.push((name.to_owned(), number.try_into().expect("not negative")));
        }
        let names: Vec<String> = expected.iter().map(|(name, _)| name.clone()).collect();
        let found = of_the_headers(&names);
        assert_eq!(found.len(), expected.len());
        for ((name, ours), theirs) in expected.iter().zip(found) {
            assert_eq!(*ours, theirs, "{name}");
        }
    }
}
