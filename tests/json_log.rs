//! `--log-format json`: whatever happens, each line of the log is one object.

use std::os::unix::fs::symlink;

use serde_json::Value;

use crate::support::{Directory, FullPipe, Lines, Running, Scenario, probe, untimed};

/// As PID 1, and as an ordinary process.
fn both() -> [Scenario; 2] {
    [Scenario::container(), Scenario::plain()].map(|scenario| scenario.options("--log-format json"))
}

fn parse(line: &str) -> Value {
    let object: Value =
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let time = object["time"].as_str().expect("a time");
    let form: String =
        time.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    assert_eq!(form, "0000-00-00T00:00:00.000Z", "{line}");
    assert!(
        ["error", "warning", "info", "debug"].contains(&object["level"].as_str().expect("a level")),
        "{line}"
    );
    assert_eq!(object["program"], "firstmate", "{line}");
    assert!(!object["message"].as_str().expect("a message").is_empty(), "{line}");
    object
}

fn parse_all(lines: &[String]) -> Vec<Value> {
    lines.iter().map(|line| parse(line)).collect()
}

/// The only one with this in its message.
fn find<'a>(log: &'a [Value], part: &str) -> &'a Value {
    let mut found = log.iter().filter(|entry| {
        entry["message"].as_str().is_some_and(|message| untimed(message).contains(part))
    });
    let first = found.next().unwrap_or_else(|| panic!("no {part:?} in {log:#?}"));
    assert!(found.next().is_none(), "two of {part:?} in {log:#?}");
    first
}

#[test]
fn every_line_of_a_busy_run_is_an_object_with_its_fields() {
    let directory = Directory::new();
    for scenario in both() {
        let name = "a \"b\"\\\nc";
        let place = directory.path().join(name);
        let _ = symlink(probe(), &place);
        let odd = |steps: &str| format!("'{}' {steps}", place.display());
        let scenario = scenario.options("-wvv -t 1s --drain 1s --stop-delay 10ms --exit-when all");
        let scenario =
            scenario.option("--before", odd("orphans 2 exit 0")).option("--with", odd("exit 5"));
        let scenario = scenario
            .option("--with", "/nothing/\"here\"\n")
            .option("--stop-command", odd("exit 6"))
            .option("--after", odd("die 9"));
        let steps = "block-all daemon [ forever ] orphans 2 report say ready until 10 forever";
        let running = scenario.probe(steps).start();
        let main: i64 = running
            .stdout
            .expect_part("pid ")
            .split(' ')
            .nth(1)
            .expect("a pid")
            .parse()
            .expect("a number");
        let running = running.ready();
        running.signal(libc::SIGUSR1);
        running.stdout.expect_part("signal 10 ");
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        assert_eq!(finished.status, 137, "{finished:?}");

        let log = parse_all(&finished.stderr);
        let killed =
            find(&log, "the command was killed by SIGKILL: it had not ended N.Ns after SIGTERM");
        assert_eq!(
            (&killed["level"], &killed["signal"], &killed["phase"]),
            (&"warning".into(), &"SIGKILL".into(), &"stopping".into())
        );
        assert_eq!((killed["pid"].as_i64(), killed["status"].as_i64()), (Some(main), Some(137)));
        let stop = find(&log, "SIGTERM from ");
        assert_eq!(
            (&stop["level"], &stop["signal"], &stop["phase"]),
            (&"info".into(), &"SIGTERM".into(), &"delaying".into())
        );
        let failed = find(&log, "the stop command has failed: sending SIGTERM instead");
        assert_eq!(
            (&failed["level"], &failed["signal"], &failed["phase"]),
            (&"warning".into(), &"SIGTERM".into(), &"stopping".into())
        );
        let after = find(&log, "the --after command ");
        assert_eq!(
            (&after["level"], &after["status"], &after["phase"]),
            (&"warning".into(), &137.into(), &"done".into())
        );
        let drained = find(&log, r#"1 process was left N.Ns after SIGTERM, and killed: "probe""#);
        assert_eq!((&drained["level"], &drained["phase"]), (&"warning".into(), &"draining".into()));
    }
}

#[test]
fn a_name_with_quotes_and_line_ends_stays_on_its_line() {
    for scenario in both() {
        let finished = scenario.command(["/nothing/\"here\"\n\\\u{1}\u{7f}"]).run();
        assert_eq!((finished.status, finished.stderr.len()), (127, 1), "{finished:?}");
        let name = r#""/nothing/\"here\"\n\\\u{1}\u{7f}""#;
        let message = format!("cannot run {name}: No such file or directory");
        assert_eq!(parse(&finished.stderr[0])["message"], *message);
    }
}

#[test]
fn a_line_that_is_too_long_is_still_an_object() {
    for letter in ["x", "\"", "é"] {
        let finished = Scenario::container()
            .options("--log-format json")
            .command([format!("/{}", letter.repeat(20_000))])
            .run();
        assert_eq!((finished.status, finished.stderr.len()), (126, 1), "{finished:?}");
        assert!(finished.stderr[0].len() < 4096);
        parse(&finished.stderr[0]);
    }
}

#[test]
fn an_ordinary_run_logs_nothing_and_what_fails_is_an_object_too() {
    for scenario in both() {
        assert_eq!(scenario.clone().probe("exit 7").run().stderr.len(), 0);
        let finished = scenario.options("-qq --user nobody-of-that-name").probe("exit 0").run();
        assert_eq!(parse(&finished.stderr[0])["level"], "error");
    }
    let finished = Scenario::container().env("FIRSTMATE_LOG_FORMAT", "json").probe("die 9").run();
    assert_eq!(parse(&finished.stderr[0])["status"], 137);
}

#[test]
fn bad_input_is_an_object_where_that_was_asked_for() {
    for bad in ["--kill-after soon", "--nonsense"] {
        let finished =
            Scenario::container().options("--log-format json").options(bad).probe("exit 0").run();
        assert_eq!((finished.status, finished.stderr.len()), (125, 1), "{finished:?}");
        let entry = parse(&finished.stderr[0]);
        assert_eq!(entry["level"], "error");
        assert!(entry["message"].as_str().is_some_and(|text| text.contains(&bad[..7])), "{entry}");
    }
    let finished = Scenario::container().options("--log-format yaml").probe("exit 0").run();
    assert!(finished.stderr[0].starts_with("firstmate[1]: error: --log-format: "), "{finished:?}");
}

/// Signals that are logged, each seen by the command.
fn signals(running: &Running) {
    for signal in [1, 2, 10] {
        running.signal(signal);
        running.stdout.expect_part(&format!("signal {signal} "));
    }
}

#[test]
fn dropped_lines_are_counted_in_an_object() {
    let (pipe, writer) = FullPipe::new();
    let scenario = Scenario::container()
        .prepare("block-all")
        .options("-vv --log-format json")
        .probe("say ready until 64");
    let running = scenario.stderr(writer).start().ready();
    signals(&running);
    let reader = pipe.emptied();
    running.signal(64);
    let log = Lines::read(reader);
    let dropped = parse(&log.next());
    let count = dropped["dropped"].as_i64().expect("a number");
    assert!(count >= 6, "{dropped}");
    assert_eq!(dropped["message"], format!("lines of this log that were dropped: {count}"));
    assert_eq!(parse(&log.next())["message"], "received SIGRTMIN+30");
    assert_eq!(running.finish().status, 0);
}
