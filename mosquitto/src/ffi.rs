//! The C interface. Each function turns what the broker hands over into values of Rust, calls
//! the plugin, and turns the answer back; a panic ends here as a refusal.
#![allow(unsafe_code)]
// The broker finds three functions by name, in a module that no Rust code sees.
#![allow(unreachable_pub)]

use crate::abi::{self, AclCheck, BasicAuth, Callback, Disconnect, Opt, PluginId};
use crate::log::{Gravity, Log};
use crate::options::Options;
use crate::plugin::{Answer, Broker, Client, Plugin};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

unsafe extern "C" {
    fn mosquitto_callback_register(
        identifier: *mut PluginId,
        event: c_int,
        callback: Callback,
        event_data: *const c_void,
        userdata: *mut c_void,
    ) -> c_int;
    fn mosquitto_client_id(client: *const abi::Client) -> *const c_char;
    fn mosquitto_client_username(client: *const abi::Client) -> *const c_char;
    fn mosquitto_kick_client_by_clientid(client: *const c_char, with_will: bool) -> c_int;
    fn mosquitto_log_printf(level: c_int, format: *const c_char, ...);
}

/// The broker, from its own thread: plugin functions are called there only.
struct Mosquitto;

impl Broker for Mosquitto {
    fn kick(&self, client: &str) {
        let Ok(client) = CString::new(client) else { return };
        // SAFETY: a C string that outlives the call, on the broker's thread, outside any use of
        // the client by us. A client that is gone is `MOSQ_ERR_NOT_FOUND`, which is as well.
        unsafe { mosquitto_kick_client_by_clientid(client.as_ptr(), false) };
    }

    fn log(&self, gravity: Gravity, line: &str) {
        let Ok(line) = CString::new(line) else { return };
        // SAFETY: the format takes one C string, which outlives the call; the broker's thread.
        unsafe { mosquitto_log_printf(gravity.code(), c"%s".as_ptr(), line.as_ptr()) };
    }
}

/// The text at a pointer; `None` if there is none or it is not UTF-8.
///
/// # Safety
/// Null, or a C string that lives as long as the answer is used.
unsafe fn text<'a>(pointer: *const c_char) -> Option<&'a str> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: not null, so a C string by this function's contract.
    unsafe { CStr::from_ptr(pointer) }.to_str().ok()
}

/// # Safety
/// A client of the broker, during one of its events; the answer is used within it.
unsafe fn client<'a>(client: *const abi::Client) -> Client<'a> {
    // SAFETY: the functions read the client and answer null or a C string that it owns, which
    // nobody changes during the event.
    let (id, user) =
        unsafe { (text(mosquitto_client_id(client)), text(mosquitto_client_username(client))) };
    Client { connection: client.addr(), id, user }
}

/// Runs a part of an event. Whatever it panics with ends here.
fn guarded(work: impl FnOnce() -> c_int) -> c_int {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Mosquitto.log(Gravity::Error, "muster: a fault of the plugin; the request is refused");
        abi::ERR_UNKNOWN
    })
}

/// # Safety
/// `userdata` is what `mosquitto_plugin_init` made, and not cleaned up yet.
unsafe fn plugin<'a>(userdata: *mut c_void) -> &'a Plugin {
    // SAFETY: by the contract it points to a living `Plugin`, which is shared only, also when an
    // event is raised within another one.
    unsafe { &*userdata.cast::<Plugin>() }
}

/// The version of the plugin interface that we speak.
#[unsafe(no_mangle)]
pub extern "C" fn mosquitto_plugin_version(count: c_int, versions: *const c_int) -> c_int {
    guarded(|| {
        let count = usize::try_from(count).unwrap_or(0);
        if versions.is_null() || count == 0 {
            return -1;
        }
        // SAFETY: the broker passes an array of `count` numbers.
        let versions = unsafe { std::slice::from_raw_parts(versions, count) };
        if versions.contains(&abi::PLUGIN_VERSION) { abi::PLUGIN_VERSION } else { -1 }
    })
}

/// Starts the plugin, or says in the broker's log why not, and the broker does not start.
#[unsafe(no_mangle)]
pub extern "C" fn mosquitto_plugin_init(
    identifier: *mut PluginId,
    userdata: *mut *mut c_void,
    options: *mut Opt,
    count: c_int,
) -> c_int {
    guarded(|| {
        // SAFETY: the broker passes an array of `count` pairs of C strings.
        let options = unsafe { pairs(options, count) };
        let log = Log::default();
        // Only the first plugin line of a broker gets the gateway's reports.
        let _ = tracing::subscriber::set_global_default(log.clone());
        let started = Options::parse(&options).and_then(|options| Plugin::start(options, log));
        let plugin = match started {
            Ok(plugin) => Box::new(plugin),
            Err(fault) => {
                Mosquitto.log(Gravity::Error, &format!("muster: {fault}"));
                return abi::ERR_INVAL;
            }
        };
        plugin.write_log(&Mosquitto);
        let plugin: *mut c_void = Box::into_raw(plugin).cast();
        let events: [(c_int, Callback); 5] = [
            (abi::EVT_BASIC_AUTH, on_basic_auth),
            (abi::EVT_ACL_CHECK, on_acl_check),
            (abi::EVT_DISCONNECT, on_disconnect),
            (abi::EVT_TICK, on_tick),
            (abi::EVT_RELOAD, on_reload),
        ];
        for (event, callback) in events {
            // SAFETY: the identifier is the broker's; the callbacks and the plugin live until
            // the broker cleans up.
            let code = unsafe {
                mosquitto_callback_register(identifier, event, callback, std::ptr::null(), plugin)
            };
            if code != abi::ERR_SUCCESS {
                let words = format!("muster: the broker refuses event {event}: {code}");
                Mosquitto.log(Gravity::Error, &words);
                return code;
            }
        }
        // SAFETY: the broker passes a place for one pointer.
        unsafe { *userdata = plugin };
        abi::ERR_SUCCESS
    })
}

/// Stops the plugin.
#[unsafe(no_mangle)]
pub extern "C" fn mosquitto_plugin_cleanup(
    userdata: *mut c_void,
    _options: *mut Opt,
    _count: c_int,
) -> c_int {
    if userdata.is_null() {
        return abi::ERR_SUCCESS;
    }
    guarded(|| {
        // SAFETY: made by `Box::into_raw` in `mosquitto_plugin_init`; the broker cleans up once,
        // and raises no event any more.
        let plugin = unsafe { Box::from_raw(userdata.cast::<Plugin>()) };
        plugin.close();
        plugin.write_log(&Mosquitto);
        abi::ERR_SUCCESS
    })
}

/// # Safety
/// Null, or an array of `count` pairs of C strings.
unsafe fn pairs(options: *const Opt, count: c_int) -> Vec<(String, String)> {
    let count = usize::try_from(count).unwrap_or(0);
    if options.is_null() || count == 0 {
        return Vec::new();
    }
    // SAFETY: by the contract.
    let options = unsafe { std::slice::from_raw_parts(options, count) };
    // SAFETY: by the contract; the copies outlive nothing.
    let owned = |pointer| unsafe { text(pointer) }.unwrap_or("\u{fffd}").to_owned();
    options.iter().map(|option| (owned(option.key), owned(option.value))).collect()
}

extern "C" fn on_basic_auth(_: c_int, data: *mut c_void, userdata: *mut c_void) -> c_int {
    guarded(|| {
        // SAFETY: for this event the broker passes this structure, a living client and C strings.
        let (plugin, event) = unsafe { (plugin(userdata), &*data.cast::<BasicAuth>()) };
        // SAFETY: as above.
        let (client, password) = unsafe { (client(event.client), text(event.password)) };
        let answer = plugin.basic_auth(&client, password);
        plugin.write_log(&Mosquitto);
        match answer {
            Answer::Allow => abi::ERR_SUCCESS,
            Answer::Deny => abi::ERR_AUTH,
            Answer::Defer => abi::ERR_PLUGIN_DEFER,
        }
    })
}

extern "C" fn on_acl_check(_: c_int, data: *mut c_void, userdata: *mut c_void) -> c_int {
    let code = guarded(|| {
        // SAFETY: for this event the broker passes this structure, a client and a C string.
        let (plugin, event) = unsafe { (plugin(userdata), &*data.cast::<AclCheck>()) };
        // SAFETY: as above.
        let (client, topic) = unsafe { (client(event.client), text(event.topic)) };
        let answer = match topic {
            Some(topic) => plugin.acl_check(&client, event.access, topic),
            None => Answer::Deny,
        };
        plugin.write_log(&Mosquitto);
        match answer {
            Answer::Allow => abi::ERR_SUCCESS,
            Answer::Deny => abi::ERR_ACL_DENIED,
            Answer::Defer => abi::ERR_PLUGIN_DEFER,
        }
    });
    // Any other code would end more than this request.
    if code == abi::ERR_UNKNOWN { abi::ERR_ACL_DENIED } else { code }
}

extern "C" fn on_disconnect(_: c_int, data: *mut c_void, userdata: *mut c_void) -> c_int {
    guarded(|| {
        // SAFETY: for this event the broker passes this structure and a client not yet freed.
        let (plugin, event) = unsafe { (plugin(userdata), &*data.cast::<Disconnect>()) };
        // SAFETY: as above.
        plugin.disconnect(&unsafe { client(event.client) });
        abi::ERR_SUCCESS
    })
}

extern "C" fn on_tick(_: c_int, _: *mut c_void, userdata: *mut c_void) -> c_int {
    guarded(|| {
        // SAFETY: the plugin lives until it is cleaned up.
        unsafe { plugin(userdata) }.tick(&Mosquitto);
        abi::ERR_SUCCESS
    })
}

extern "C" fn on_reload(_: c_int, _: *mut c_void, userdata: *mut c_void) -> c_int {
    guarded(|| {
        // SAFETY: the plugin lives until it is cleaned up.
        unsafe { plugin(userdata) }.reload();
        // Others may have something to reload too.
        abi::ERR_PLUGIN_DEFER
    })
}
