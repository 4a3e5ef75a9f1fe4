//! Which provider answers a run, chosen by flags; keys come from the environment alone (SCR-23).

use std::path::Path;
use std::sync::Arc;

use crate::cli::ending::Refusal;
use crate::provider::anthropic::{self, Anthropic};
use crate::provider::command::Command;
use crate::provider::mock::Mock;
use crate::provider::offline::Offline;
use crate::provider::openai::{self, OpenAi};
use crate::provider::secret::Secret;
use crate::provider::{Identity, Provider};

/// The names on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Name {
    Mock,
    Openai,
    Anthropic,
    Command,
    Offline,
}

/// What the flags say about the provider.
#[derive(Debug, clap::Args)]
pub(super) struct Choice {
    /// Who answers
    #[arg(long, value_enum, default_value = "mock")]
    pub(super) provider: Name,
    /// Program and arguments of the provider `command`; everything up to the end of the line belongs to it
    #[arg(long, value_name = "CMD", num_args = 1.., allow_hyphen_values = true)]
    command: Vec<String>,
    /// Model, by its name in the calibration's BUDGET_LIMITS
    #[arg(long, value_name = "M")]
    model: Option<String>,
    /// Where openai or anthropic answers: https, or http on loopback
    #[arg(long, value_name = "U")]
    base_url: Option<String>,
    /// Whose cache entries the provider `offline` serves
    #[arg(long = "as", value_name = "PROVIDER", value_enum)]
    stands_for: Option<Name>,
    /// How often the mock breaks a rule, from 0 to 1
    #[arg(long, value_name = "R", value_parser = share)]
    defect_rate: Option<f64>,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.0..=1.0).contains(&rate) => Ok(rate),
        _ => Err("give a number from 0 to 1".into()),
    }
}

impl Choice {
    /// The model: as named, or the usual one of the provider.
    pub(super) fn model(&self) -> Result<String, Refusal> {
        if let Some(model) = &self.model {
            return Ok(model.clone());
        }
        let usual = match self.answering() {
            Some(Name::Mock) => "mock-prose-1",
            Some(Name::Openai) => "gpt-4o-mini",
            Some(Name::Anthropic) => "claude-sonnet-4-5",
            _ => return Err(Refusal::usage("--provider command needs --model, to know its price")),
        };
        Ok(usual.into())
    }

    /// The provider itself.
    pub(super) fn provider(&self) -> Result<Arc<dyn Provider>, Refusal> {
        self.check_flags()?;
        Ok(match self.provider {
            Name::Mock => Arc::new(self.mock()),
            Name::Openai => {
                Arc::new(OpenAi::new(self.url(openai::BASE_URL), key(openai::KEY_VARIABLE)?).map_err(Refusal::usage)?)
            }
            Name::Anthropic => Arc::new(
                Anthropic::new(self.url(anthropic::BASE_URL), key(anthropic::KEY_VARIABLE)?).map_err(Refusal::usage)?,
            ),
            Name::Command => Arc::new(self.subprocess()?),
            Name::Offline => Arc::new(Offline::new(self.stood_for()?)),
        })
    }

    /// Who shapes the replies: of `offline`, the provider that it stands for.
    fn answering(&self) -> Option<Name> {
        if self.provider == Name::Offline { self.stands_for } else { Some(self.provider) }
    }

    /// A flag that would do nothing is a misunderstanding, and a misunderstanding may cost money.
    fn check_flags(&self) -> Result<(), Refusal> {
        let answering = self.answering();
        for (given, flag, fits) in [
            (!self.command.is_empty(), "--command", answering == Some(Name::Command)),
            (self.base_url.is_some(), "--base-url", matches!(answering, Some(Name::Openai | Name::Anthropic))),
            (self.stands_for.is_some(), "--as", self.provider == Name::Offline),
            (self.defect_rate.is_some(), "--defect-rate", answering == Some(Name::Mock)),
        ] {
            if given && !fits {
                return Err(Refusal::usage(format!("{flag} means nothing to this provider")));
            }
        }
        Ok(())
    }

    fn mock(&self) -> Mock {
        Mock::new(self.defect_rate.unwrap_or(crate::provider::mock::DEFECT_RATE))
    }

    fn subprocess(&self) -> Result<Command, Refusal> {
        let (program, arguments) =
            self.command.split_first().ok_or_else(|| Refusal::usage("--provider command needs --command CMD"))?;
        Ok(Command::new(Path::new(program), arguments))
    }

    fn url<'a>(&'a self, usual: &'a str) -> &'a str {
        self.base_url.as_deref().unwrap_or(usual)
    }

    fn stood_for(&self) -> Result<Identity, Refusal> {
        match self.stands_for {
            Some(Name::Mock) => Ok(self.mock().identity().clone()),
            Some(Name::Openai) => Ok(OpenAi::identity_at(self.url(openai::BASE_URL))),
            Some(Name::Anthropic) => Ok(Anthropic::identity_at(self.url(anthropic::BASE_URL))),
            Some(Name::Command) => Ok(self.subprocess()?.identity().clone()),
            Some(Name::Offline) | None => Err(Refusal::usage("--provider offline needs --as PROVIDER")),
        }
    }
}

fn key(variable: &str) -> Result<Secret, Refusal> {
    Secret::from_env(variable).map_err(Refusal::usage)
}
