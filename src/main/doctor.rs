//! `keyswap doctor`: its command line, and its report for people.

use std::process::ExitCode;

use clap::Args;
use keyswap::doctor::{Finding, Report, Section, Status, Subject, examine};
use keyswap::sources;

use super::log::Log;
use super::{EXIT_MISTAKES, Source, complain, help, show};

/// Look at identities and resources from here, and say what is wrong and what cures it: why 401? why 403?
///
/// It asks Entra, or whoever gives tokens here, and each resource, as keyswap serve does, and changes nothing. Each finding
/// is ok, a note, "cannot tell", or WRONG; then it comes with what that means and what cures it, as commands to paste where
/// there are some. No secret and no token is ever shown. It ends within some two minutes, whoever hangs.
#[derive(Args)]
#[command(after_long_help = help::DOCTOR)]
pub(super) struct Command {
    #[command(flatten)]
    source: Source,
    /// Only this part, by its section in the settings: egress, identities.NAME or resources.NAME; may be given more than
    /// once
    #[arg(long, value_name = "SECTION")]
    only: Vec<Subject>,
    /// What could not be told counts as wrong
    #[arg(long)]
    strict: bool,
    /// Say it as JSON
    #[arg(long)]
    json: bool,
}

impl Command {
    /// Looks, and says what was found.
    pub(super) fn run(&self) -> ExitCode {
        // What the report says is not said twice.
        let log = match Log::start(None, "off") {
            Ok(log) => log,
            Err(error) => return complain(&error, ExitCode::FAILURE),
        };
        let examined = sources::Source::from(&self.source).read().and_then(|reading| examine(reading, &self.only));
        log.close(None);
        match examined {
            Ok(report) => {
                let text = if self.json { as_json(&report) } else { as_text(&report) };
                show(Ok(text));
                self.exit(&report)
            }
            Err(mistakes) => complain(&mistakes, EXIT_MISTAKES.into()),
        }
    }

    fn exit(&self, report: &Report) -> ExitCode {
        match report.verdict() {
            Status::Ok | Status::Note => ExitCode::SUCCESS,
            Status::CannotTell if !self.strict => ExitCode::SUCCESS,
            Status::CannotTell | Status::Wrong => ExitCode::FAILURE,
        }
    }
}

fn as_json(report: &Report) -> String {
    format!("{}\n", serde_json::to_string_pretty(report).unwrap_or_default())
}

/// A section a paragraph, a finding a line, and below it what there is to know and to do.
fn as_text(report: &Report) -> String {
    let sections = report.sections.iter().map(|Section { subject, what, findings }| {
        let shown = match subject {
            Subject::Egress => "egress".to_owned(),
            Subject::Identity(name) => format!("identity {name}"),
            Subject::Resource(name) => format!("resource {name}"),
        };
        let lines = findings.iter().enumerate().flat_map(|(place, finding)| lines(finding, &findings[..place]));
        let findings: String = lines.map(|line| format!("{line}\n")).collect();
        format!("{shown}: {what}\n{findings}\n")
    });
    let sections: String = sections.collect();
    let counts = Status::NAMES.iter().rev().map(|(_, status)| (word(*status), report.count(*status)));
    let counts: Vec<_> =
        counts.filter(|(_, count)| *count > 0).map(|(word, count)| format!("{count} {word}")).collect();
    format!("{sections}{}\n", counts.join(", "))
}

/// A finding; what mends an earlier one, too, is not said twice.
fn lines(finding: &Finding, earlier: &[Finding]) -> Vec<String> {
    let Finding { status, found, means, cure, commands, facts, .. } = finding;
    let mut lines = vec![format!("  {:<11}  {}: {found}", word(*status), title(finding))];
    let facts: Vec<_> = facts.iter().map(|(name, value)| format!("{} {value}", name.replace('_', " "))).collect();
    lines.extend((!facts.is_empty()).then(|| format!("{INDENT}{}", facts.join(", "))));
    let is_same = |one: &&Finding| (&one.means, &one.cure, &one.commands) == (means, cure, commands);
    if let Some(same) = earlier.iter().find(is_same).filter(|_| cure.is_some()) {
        lines.push(format!("{INDENT}to do: as for {}", title(same)));
        return lines;
    }
    lines.extend(means.iter().map(|means| format!("{INDENT}{means}")));
    lines.extend(cure.iter().map(|cure| format!("{INDENT}to do: {cure}")));
    // Deeper, so that a command can be told from words.
    lines.extend(commands.iter().map(|command| format!("{INDENT}    {command}")));
    lines
}

/// What was looked for.
fn title(finding: &Finding) -> String {
    let of = finding.of.as_ref().map(|of| format!(" {of}")).unwrap_or_default();
    format!("{}{of}", finding.check)
}

/// What stands below a finding stands below its words.
const INDENT: &str = "               ";

/// How a finding begins.
fn word(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Note => "note",
        Status::CannotTell => "cannot tell",
        Status::Wrong => "WRONG",
    }
}
