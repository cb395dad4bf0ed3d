//! Users and groups, from the container's own /etc/passwd and /etc/group.
//!
//! Not from the C library: a static glibc would load its shared libraries for getpwnam(3).

use std::ffi::CString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;

use libc::{gid_t, uid_t};
use nix::errno::Errno;
use nix::unistd::{
    Gid, Uid, getgroups, getresgid, getresuid, setgroups, setresgid, setresuid, setuid,
};

use super::capabilities;
use crate::config::{NameOrId, UserSpec};

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// What a process needs to become a user.
#[derive(Debug, PartialEq, Eq)]
pub struct Credentials {
    /// As it was asked for.
    spec: UserSpec,
    uid: uid_t,
    gid: gid_t,
    /// Sorted, each once, and `gid` among them: what is not may be given up by a set-group-ID
    /// program, and its denials with it.
    groups: Vec<gid_t>,
    variables: Vec<CString>,
}

impl Credentials {
    /// Looks a user up.
    ///
    /// A name has the groups that /etc/passwd and /etc/group give it; a number has the one of
    /// /etc/passwd or, if it is not listed there, the one of the same number. With a group in
    /// the specification there is that one only.
    ///
    /// # Errors
    /// When a name is unknown, or a file that is there cannot be read.
    pub fn find(spec: &UserSpec) -> Result<Self, UserError> {
        Self::look_up(spec, read)
    }

    fn look_up(
        spec: &UserSpec,
        read: impl Fn(&'static str) -> io::Result<Vec<u8>>,
    ) -> Result<Self, UserError> {
        let read = |file| match read(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            text => text.map_err(|error| UserError::Unreadable(file, error.to_string())),
        };
        let needs_no_passwd = matches!((&spec.user, &spec.group), (NameOrId::Id(_), Some(_)));
        let passwd = if needs_no_passwd { Vec::new() } else { read(PASSWD)? };
        let mut users = lines(&passwd).filter_map(|fields| User::parse(&fields));
        let listed = users.find(|user| match &spec.user {
            NameOrId::Name(name) => user.name == name.as_bytes(),
            NameOrId::Id(id) => user.uid == *id,
        });
        let uid = match (&spec.user, &listed) {
            (NameOrId::Id(id), _) => *id,
            (NameOrId::Name(_), Some(user)) => user.uid,
            (NameOrId::Name(name), None) => {
                return Err(UserError::Unknown("user", name.clone(), PASSWD));
            }
        };
        let needs_no_group = matches!(
            (&spec.user, &spec.group),
            (NameOrId::Id(_), None) | (_, Some(NameOrId::Id(_)))
        );
        let group = if needs_no_group { Vec::new() } else { read(GROUP)? };
        let mut listed_groups = lines(&group).filter_map(|fields| Group::parse(&fields));
        let gid = match &spec.group {
            None => listed.as_ref().map_or(uid, |user| user.gid),
            Some(NameOrId::Id(id)) => *id,
            Some(NameOrId::Name(name)) => {
                let group = listed_groups.find(|group| group.name == name.as_bytes());
                group.ok_or_else(|| UserError::Unknown("group", name.clone(), GROUP))?.gid
            }
        };
        let mut groups = vec![gid];
        if let UserSpec { user: NameOrId::Name(name), group: None } = spec {
            groups.extend(
                listed_groups.filter(|group| group.has(name.as_bytes())).map(|group| group.gid),
            );
        }
        groups.sort_unstable();
        groups.dedup();
        let variables = match &spec.user {
            NameOrId::Name(_) => listed.map(|user| user.variables()).unwrap_or_default(),
            NameOrId::Id(_) => Vec::new(),
        };
        Ok(Self { spec: spec.clone(), uid, gid, groups, variables })
    }

    /// Whether there are more groups than a process may have (setgroups(2), `NGROUPS_MAX`).
    pub(super) fn has_too_many_groups(&self) -> bool {
        self.groups.len() > 65_536
    }

    /// `HOME`, `USER` and `LOGNAME`, if the user was given by its name.
    pub(super) fn variables(&self) -> &[CString] {
        &self.variables
    }

    /// Makes the calling process this user for good.
    ///
    /// Nothing is needed to stay who one is: setgroups(2), which always needs `CAP_SETGID`, may
    /// fail then.
    ///
    /// # Errors
    /// `EPERM` without `CAP_SETGID` or `CAP_SETUID`, or if there was a way back; `EINVAL` for an id
    /// without a place in the user namespace. The process is neither the old nor the new user
    /// then.
    pub(super) fn apply(&self) -> nix::Result<()> {
        let (user, group) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        let groups: Vec<_> = self.groups.iter().copied().map(Gid::from_raw).collect();
        let grouped = setgroups(&groups);
        if !self.has_groups() {
            return Err(grouped.err().unwrap_or(Errno::EPERM));
        }
        setresgid(group, group, group)?;
        setresuid(user, user, user)?;
        // The kernel does that itself when root becomes another user, but not for other users with
        // capabilities, nor with `SECBIT_NO_SETUID_FIXUP`. Ambient ones go with the others.
        if self.uid != 0 {
            capabilities::drop_all()?;
        }
        // A sandbox may have said yes and done nothing.
        if self.is_applied() { Ok(()) } else { Err(Errno::EPERM) }
    }

    /// Whether the supplementary groups of the calling process are ours, for a process with our
    /// group.
    fn has_groups(&self) -> bool {
        let Ok(seen) = getgroups() else { return false };
        let seen: Vec<_> = seen.into_iter().map(Gid::as_raw).collect();
        seen.iter().all(|group| self.groups.contains(group))
            && self.groups.iter().all(|group| *group == self.gid || seen.contains(group))
    }

    fn is_applied(&self) -> bool {
        let users = getresuid().is_ok_and(|ids| {
            [ids.real, ids.effective, ids.saved].iter().all(|id| id.as_raw() == self.uid)
        });
        let groups = getresgid().is_ok_and(|ids| {
            [ids.real, ids.effective, ids.saved].iter().all(|id| id.as_raw() == self.gid)
        });
        // If it succeeds, this process is given up.
        let no_way_back = || self.uid == 0 || setuid(Uid::from_raw(0)).is_err();
        users && groups && no_way_back()
    }
}

/// Without waiting for a FIFO's writer, or a device.
fn read(file: &str) -> io::Result<Vec<u8>> {
    let mut opened = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(file)?;
    if !opened.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut text = Vec::new();
    opened.read_to_end(&mut text)?;
    Ok(text)
}

/// Why a user could not be looked up.
#[derive(Debug, PartialEq, Eq)]
pub enum UserError {
    /// A `user` or `group`, its name, and the file that does not have it.
    Unknown(&'static str, String, &'static str),
    /// A file that is there cannot be read.
    Unreadable(&'static str, String),
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(what, name, file) => write!(f, "there is no {what} {name:?} in {file}"),
            Self::Unreadable(file, why) => write!(f, "cannot read {file}: {why}"),
        }
    }
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user {} (uid {}, gid {})", self.spec, self.uid, self.gid)
    }
}

/// The fields of each line.
fn lines(text: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    text.split(|byte| *byte == b'\n').map(|line| line.split(|byte| *byte == b':').collect())
}

/// As setresuid(2) and its like take it.
fn id(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    text.parse().ok().filter(|id| *id != u32::MAX)
}

/// A line of /etc/passwd (passwd(5)).
struct User<'a> {
    name: &'a [u8],
    uid: uid_t,
    gid: gid_t,
    home: &'a [u8],
}

impl<'a> User<'a> {
    fn parse(fields: &[&'a [u8]]) -> Option<Self> {
        let &[name, _, uid, gid, _, home, ..] = fields else { return None };
        Some(Self { name, uid: id(uid)?, gid: id(gid)?, home })
    }

    fn variables(&self) -> Vec<CString> {
        // As a program in C would read it: root's must not stay.
        let home = self.home.split(|byte| *byte == 0).next().unwrap_or_default();
        let home = if home.is_empty() { b"/" } else { home };
        let variables =
            [(b"HOME=".as_slice(), home), (b"USER=", self.name), (b"LOGNAME=", self.name)];
        variables
            .into_iter()
            .filter_map(|(name, value)| CString::new([name, value].concat()).ok())
            .collect()
    }
}

/// A line of /etc/group (group(5)).
struct Group<'a> {
    name: &'a [u8],
    gid: gid_t,
    members: &'a [u8],
}

impl<'a> Group<'a> {
    fn parse(fields: &[&'a [u8]]) -> Option<Self> {
        let &[name, _, gid, members, ..] = fields else { return None };
        Some(Self { name, gid: id(gid)?, members })
    }

    fn has(&self, user: &[u8]) -> bool {
        self.members.split(|byte| *byte == b',').any(|member| member == user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [(&str, &str); 2] = [
        (
            PASSWD,
            "root:x:0:0:root:/root:/bin/sh\n# \
             comment\nbroken:x:1\nodd:x:4294967295:5::/:\nodd:x:12x:5::/:\napp:x:1000:100:An \
             app,,:/srv/app:/bin/false\napp:x:1:1::/second:\nhomeless:x:1001:100:::\n",
        ),
        (
            GROUP,
            "root:x:0:\nusers:x:100:\nvideo:x:44:other,app\naudio:x:29:app\napple:x:30:apple\\
             ndial:x:20:homeless\nshort:x:9\n",
        ),
    ];

    fn find(user: &str, group: Option<&str>) -> Result<Credentials, String> {
        let parse = |text: &str| {
            text.parse().map_or_else(|_| NameOrId::Name(text.to_owned()), NameOrId::Id)
        };
        let spec = UserSpec { user: parse(user), group: group.map(parse) };
        let read = |file: &str| {
            Ok(FILES.into_iter().find(|(name, _)| *name == file).expect("a file").1.into())
        };
        Credentials::look_up(&spec, read).map_err(|error| error.to_string())
    }

    fn ids(user: &str, group: Option<&str>) -> (uid_t, gid_t, Vec<gid_t>) {
        let Credentials { uid, gid, groups, .. } = find(user, group).expect("a user");
        (uid, gid, groups)
    }

    #[test]
    fn a_name_has_the_groups_of_both_files() {
        assert_eq!(ids("app", None), (1000, 100, vec![29, 44, 100]));
        assert_eq!(ids("root", None), (0, 0, vec![0]));
    }

    #[test]
    fn a_number_has_one_group() {
        assert_eq!(ids("1000", None), (1000, 100, vec![100]));
        assert_eq!(ids("77", None), (77, 77, vec![77]));
    }

    #[test]
    fn a_group_that_was_asked_for_is_the_only_one() {
        assert_eq!(ids("app", Some("video")), (1000, 44, vec![44]));
        assert_eq!(ids("app", Some("7")), (1000, 7, vec![7]));
        assert_eq!(ids("77", Some("audio")), (77, 29, vec![29]));
        assert_eq!(ids("77", Some("0")), (77, 0, vec![0]));
    }

    #[test]
    fn variables_are_those_of_a_name() {
        let variables = |user| find(user, None).expect("a user").variables;
        assert_eq!(
            variables("app"),
            [c"HOME=/srv/app".to_owned(), c"USER=app".to_owned(), c"LOGNAME=app".to_owned()]
        );
        assert_eq!(variables("homeless")[0], c"HOME=/".to_owned());
        assert!(variables("1000").is_empty());
    }

    #[test]
    fn who_is_not_listed_or_in_a_broken_line_is_unknown() {
        for name in ["nobody", "broken", "odd", "# comment", "An app,,"] {
            assert_eq!(find(name, None), Err(format!("there is no user {name:?} in /etc/passwd")));
        }
        assert_eq!(
            find("app", Some("wheel")),
            Err("there is no group \"wheel\" in /etc/group".to_owned())
        );
        assert_eq!(
            find("1", Some("short")),
            Err("there is no group \"short\" in /etc/group".to_owned())
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_empty_and_one_that_cannot_be_read_is_an_error() {
        let spec = |group| UserSpec { user: NameOrId::Id(5), group };
        let absent = |_| Err(Errno::ENOENT.into());
        let forbidden = |_| Err(Errno::EACCES.into());
        assert_eq!(Credentials::look_up(&spec(None), absent).map(|found| found.gid), Ok(5));
        let error =
            Credentials::look_up(&spec(None), forbidden).expect_err("a failure").to_string();
        assert!(error.starts_with("cannot read /etc/passwd: Permission denied"), "{error}");
        assert_eq!(
            Credentials::look_up(&spec(Some(NameOrId::Id(6))), forbidden).map(|found| found.gid),
            Ok(6)
        );
    }
}
