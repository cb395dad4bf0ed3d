//! Variables whose names are almost those of our options.

use super::native::FIRSTMATE;

/// Of ours that are no options'.
const OTHERS: [&str; 3] = ["FIRSTMATE_INIT", "FIRSTMATE_OCI_INIT", "FIRSTMATE_OCI_RUNTIME"];

/// What Kubernetes sets for each service of a namespace.
const OF_SERVICES: [&str; 3] = ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT"];

/// A line for each entry of the environment (`NAME=value`) that was probably meant for us.
pub(super) fn misses<'a>(environment: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    let names = environment.filter_map(|entry| {
        // Hardly anybody mistypes the first letter, and most variables need no closer look.
        let begins = entry.first().is_some_and(|first| first.eq_ignore_ascii_case(&b'f'));
        let name = std::str::from_utf8(entry).ok().filter(|_| begins)?.split('=').next()?;
        (name.len() > "FIRSTMATE".len()).then_some(name)
    });
    let lines = names.filter_map(|name| {
        let meant = meant_by(name)?;
        Some(format!("the variable {name} is not known: did you mean {meant}?"))
    });
    lines.collect()
}

/// The variable of ours that this is almost, but is not.
fn meant_by(name: &str) -> Option<String> {
    let variables = || FIRSTMATE.options().filter_map(super::table::Opt::variable);
    let is_known = OTHERS.contains(&name) || variables().any(|variable| variable == name);
    if is_known || OF_SERVICES.iter().any(|end| name.contains(end)) {
        return None;
    }
    let plain = |name: &str| name.to_ascii_uppercase().replace('_', "");
    let most = |variable: &str| if variable.len() > "FIRSTMATE_".len() + 5 { 2 } else { 1 };
    variables().find(|variable| plain(variable) == plain(name)).or_else(|| {
        let far = variables().map(|variable| {
            (strsim::osa_distance(&variable, &name.to_ascii_uppercase()), variable)
        });
        let near = far.filter(|(distance, variable)| *distance <= most(variable));
        near.min().map(|(_, variable)| variable)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_almost_a_variable_of_ours_is_told_and_nothing_else() {
        for (name, meant) in [
            ("FIRSTMATE_KILLAFTER", "KILL_AFTER"),
            ("firstmate_kill_after", "KILL_AFTER"),
            ("FIRSTMATE_KILL_AFTR", "KILL_AFTER"),
            ("FIRSTMATE_KIL_AFTR", "KILL_AFTER"),
            ("FIRSTMATEDRAIN", "DRAIN"),
            ("FIRSTMATE_DRIAN", "DRAIN"),
            ("FIRSMATE_DRAIN", "DRAIN"),
            ("FIRSTMATE_DRAINS", "DRAIN"),
            ("FIRSTMATE_ALLL", "ALL"),
            ("FIRSTMATE_STOP_TIMEOT", "STOP_TIMEOUT"),
        ] {
            assert_eq!(meant_by(name), Some(format!("FIRSTMATE_{meant}")), "{name}");
        }
        for name in [
            "FIRSTMATE_DRAIN",
            "FIRSTMATE_KILL_AFTER",
            "FIRSTMATE_INIT",
            "FIRSTMATE_OCI_RUNTIME",
            "FIRSTMATE_DRIAM",
            "FIRSTMATE_PORT",
            "FIRSTMATE_WITH_PORT",
            "FIRSTMATE_USER_SERVICE_HOST",
            "FIRSTMATE_USER_PORT_80_TCP",
            "FIRSTMATE_DATABASE_URL",
            "FIRSTMATE_VERSION",
            "FLASK_APP",
        ] {
            assert_eq!(meant_by(name), None, "{name}");
        }
        let environment = [&b"PATH=/bin"[..], b"FIRSTMATE_DRAIM=1s", b"F", b"f\xff=1"];
        let line = "the variable FIRSTMATE_DRAIM is not known: did you mean FIRSTMATE_DRAIN?";
        assert_eq!(misses(environment.into_iter()), [line]);
    }
}
