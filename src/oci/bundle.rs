//! Rewriting config.json (the OCI runtime specification): text in, text out.
//!
//! Only what changes is parsed; all else stays as it is written, byte for byte, fields that nobody
//! knows too.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

/// Programs that are an init already, by the last part of their name.
const INITS: [&str; 12] = [
    ".firstmate",
    "firstmate",
    "tini",
    "tini-static",
    "docker-init",
    "dumb-init",
    "catatonit",
    "smell-baron",
    "pid1",
    "tino",
    "s6-svscan",
    "systemd",
];

/// Those that only mean one as a full path.
const INIT_PATHS: [&str; 2] = ["/init", "/sbin/init"];

/// Annotations of a pod's sandbox: containerd's and CRI-O's.
const SANDBOX: [&str; 2] =
    ["io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType"];

/// The configuration with this firstmate as the container's init; `None`: it stays as it is.
///
/// # Errors
/// Where it is no JSON, or not of the shape that the specification gives.
pub(super) fn with_init(text: &[u8], init: &str) -> serde_json::Result<Option<Vec<u8>>> {
    let mut config: Object = serde_json::from_slice(text)?;
    let Some(mut process) = config.get::<Object>("process")? else { return Ok(None) };
    let arguments: Vec<String> = process.get("args")?.unwrap_or_default();
    let Some(program) = arguments.first() else { return Ok(None) };
    if is_init(program) || has_opted_out(&config, &process)? || is_sandbox(&config)? {
        return Ok(None);
    }
    let mut mounts: Vec<Box<RawValue>> = config.get("mounts")?.unwrap_or_default();
    let place = if has_own_dev(&mounts)? { "/dev/.firstmate" } else { "/.firstmate" };
    let mut with_init = vec![place.to_owned(), "--".to_owned()];
    with_init.extend(arguments);
    process.set("args", &with_init)?;
    config.set("process", &process)?;
    mounts.push(serde_json::value::to_raw_value(&serde_json::json!({
        "destination": place,
        "type": "bind",
        "source": init,
        "options": ["bind", "ro", "nosuid", "nodev"],
    }))?);
    config.set("mounts", &mounts)?;
    serde_json::to_vec(&config).map(Some)
}

fn is_init(program: &str) -> bool {
    let name = program.rsplit('/').next().unwrap_or(program);
    INITS.contains(&name) || INIT_PATHS.contains(&program)
}

fn has_opted_out(config: &Object, process: &Object) -> serde_json::Result<bool> {
    let environment: Vec<String> = process.get("env")?.unwrap_or_default();
    let off = environment.iter().rev().find_map(|entry| entry.strip_prefix("FIRSTMATE_INIT="));
    Ok(off == Some("off") || annotation(config, "firstmate.init")?.as_deref() == Some("off"))
}

fn is_sandbox(config: &Object) -> serde_json::Result<bool> {
    for name in SANDBOX {
        if annotation(config, name)?.as_deref() == Some("sandbox") {
            return Ok(true);
        }
    }
    Ok(false)
}

fn annotation(config: &Object, name: &str) -> serde_json::Result<Option<String>> {
    let Some(annotations) = config.get::<Object>("annotations")? else { return Ok(None) };
    annotations.get(name)
}

/// Whether /dev is a fresh tmpfs of the container: there a file can be made for the mount, whatever
/// the image is.
fn has_own_dev(mounts: &[Box<RawValue>]) -> serde_json::Result<bool> {
    for mount in mounts {
        let mount: Object = serde_json::from_str(mount.get())?;
        let text = |field| mount.get::<String>(field);
        let destination = text("destination")?.unwrap_or_default();
        if destination.trim_end_matches('/') == "/dev" {
            return Ok(text("type")?.as_deref() == Some("tmpfs"));
        }
    }
    Ok(false)
}

/// An object whose fields keep their order and their text.
#[derive(Debug, Default)]
struct Object(Vec<(String, Box<RawValue>)>);

impl Object {
    /// A field; `None` where it is missing or null.
    fn get<T: for<'de> Deserialize<'de>>(&self, name: &str) -> serde_json::Result<Option<T>> {
        // The last of several counts, as for most parsers.
        match self.0.iter().rev().find(|(field, _)| field == name) {
            Some((_, value)) => serde_json::from_str(value.get()),
            None => Ok(None),
        }
    }

    /// Replaces a field, or adds it.
    fn set(&mut self, name: &str, value: &impl Serialize) -> serde_json::Result<()> {
        let value = serde_json::value::to_raw_value(value)?;
        match self.0.iter_mut().rev().find(|(field, _)| field == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(text: &str) -> Option<String> {
        let rewritten = with_init(text.as_bytes(), "/opt/firstmate").unwrap();
        rewritten.map(|text| String::from_utf8(text).unwrap())
    }

    const MOUNT: &str = r#"{"destination":"/.firstmate","options":["bind","ro","nosuid","nodev"],"source":"/opt/firstmate","type":"bind"}"#;

    #[test]
    fn only_what_must_change_does() {
        let text = r#"{"ociVersion":"1.0","zebra":{"b": 1e400, "a":18446744073709551615},
            "process":{"user":{"uid":0},"args":["app","a b"],"odd":null},"root":{"path":"r"}}"#;
        let expected = [
            r#"{"ociVersion":"1.0","zebra":{"b": 1e400, "a":18446744073709551615},"#,
            r#""process":{"user":{"uid":0},"args":["/.firstmate","--","app","a b"],"odd":null},"#,
            r#""root":{"path":"r"},"mounts":["#,
            MOUNT,
            "]}",
        ];
        assert_eq!(rewritten(text), Some(expected.concat()));
    }

    #[test]
    fn the_mount_follows_dev_where_that_is_the_containers_own() {
        for (dev, place) in [
            (r#"{"destination":"/dev","type":"tmpfs","source":"tmpfs"}"#, "/dev/.firstmate"),
            (r#"{"destination":"/dev/","type":"tmpfs"}"#, "/dev/.firstmate"),
            (r#"{"destination":"/dev","type":"bind","source":"/dev"}"#, "/.firstmate"),
            (r#"{"destination":"/dev/shm","type":"tmpfs"}"#, "/.firstmate"),
        ] {
            let text = format!(r#"{{"process":{{"args":["app"]}},"mounts":[{dev}]}}"#);
            let expected = format!(
                r#"{{"process":{{"args":["{place}","--","app"]}},"mounts":[{dev},{}]}}"#,
                MOUNT.replace("/.firstmate", place)
            );
            assert_eq!(rewritten(&text), Some(expected), "{dev}");
        }
    }

    #[test]
    fn what_has_an_init_or_wants_none_stays_as_it_is() {
        let with = |program: &str| format!(r#"{{"process":{{"args":["{program}"]}}}}"#);
        for init in [
            "/sbin/docker-init",
            "tini",
            "/usr/bin/dumb-init",
            "/init",
            "/lib/systemd/systemd",
            "/dev/.firstmate",
            "firstmate",
            "/usr/bin/catatonit",
        ] {
            assert_eq!(rewritten(&with(init)), None, "{init}");
        }
        for app in ["init", "/app/init", "/usr/bin/tinier", "sh"] {
            assert!(rewritten(&with(app)).is_some(), "{app}");
        }
        for text in [
            r#"{"ociVersion":"1.0"}"#,
            r#"{"process":null}"#,
            r#"{"process":{}}"#,
            r#"{"process":{"args":[]}}"#,
            r#"{"process":{"args":["a"],"env":["FIRSTMATE_INIT=off"]}}"#,
            r#"{"process":{"args":["a"]},"annotations":{"firstmate.init":"off"}}"#,
            r#"{"process":{"args":["a"]},"annotations":{"io.kubernetes.cri.container-type":"sandbox"}}"#,
            r#"{"process":{"args":["a"]},"annotations":{"io.kubernetes.cri-o.ContainerType":"sandbox"}}"#,
        ] {
            assert_eq!(rewritten(text), None, "{text}");
        }
        for text in [
            r#"{"process":{"args":["a"],"env":["FIRSTMATE_INIT=off","FIRSTMATE_INIT=on"]}}"#,
            r#"{"process":{"args":["a"]},"annotations":{"io.kubernetes.cri.container-type":"container"}}"#,
        ] {
            assert!(rewritten(text).is_some(), "{text}");
        }
    }

    #[test]
    fn what_is_no_configuration_is_an_error() {
        for text in [
            "",
            "{",
            "[]",
            "7",
            r#"{"process":7}"#,
            r#"{"process":{"args":"app"}}"#,
            r#"{"process":{"args":["a"]},"mounts":[7]}"#,
            "\u{feff}{}",
        ] {
            assert!(with_init(text.as_bytes(), "/i").is_err(), "{text}");
        }
    }
}
