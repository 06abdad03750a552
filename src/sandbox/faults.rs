//! Faults on purpose: which requests go wrong, and how, from a seed that can be printed and played again.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// No answer is held back longer than this: a client's timeout is to be tested, not the tester's patience.
const LONGEST_DELAY_MS: u64 = 30_000;

/// One way in which a request goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FaultKind {
    /// 429 with a `Retry-After` header; the request is not handled.
    #[serde(rename = "429")]
    TooMany,
    /// 429 without any header; the request is not handled.
    #[serde(rename = "429-bare")]
    TooManyBare,
    /// 500; the request is not handled.
    #[serde(rename = "500")]
    Internal,
    /// 502 with an HTML page, as a proxy answers; the request is not handled.
    #[serde(rename = "502")]
    BadGateway,
    /// 502 with an HTML page although the request was handled: the proxy lost the answer.
    #[serde(rename = "502-after")]
    BadGatewayAfter,
    /// 503; the request is not handled.
    #[serde(rename = "503")]
    Unavailable,
    /// The answer comes late, at most by `slow_ms`.
    #[serde(rename = "slow")]
    Slow,
    /// The connection is cut before the request is handled.
    #[serde(rename = "cut-before")]
    CutBefore,
    /// The request is handled, then the connection is cut: its answer is lost.
    #[serde(rename = "cut-after")]
    CutAfter,
    /// The request is handled; the connection is cut in the middle of the answer's body.
    #[serde(rename = "truncated")]
    Truncated,
    /// A sign-in page with 203, as a proxy or an expired sign-in gives; the request is not handled.
    #[serde(rename = "sign-in")]
    SignIn,
}

/// All kinds with their names.
const KINDS: [(&str, FaultKind); 11] = [
    ("429", FaultKind::TooMany),
    ("429-bare", FaultKind::TooManyBare),
    ("500", FaultKind::Internal),
    ("502", FaultKind::BadGateway),
    ("502-after", FaultKind::BadGatewayAfter),
    ("503", FaultKind::Unavailable),
    ("slow", FaultKind::Slow),
    ("cut-before", FaultKind::CutBefore),
    ("cut-after", FaultKind::CutAfter),
    ("truncated", FaultKind::Truncated),
    ("sign-in", FaultKind::SignIn),
];

/// What happens if no kinds are named: all that passes by itself when asked again. A
/// sign-in page does not, it tells the client that its credentials are wrong.
const DEFAULT_KINDS: [FaultKind; 10] = [
    FaultKind::TooMany,
    FaultKind::TooManyBare,
    FaultKind::Internal,
    FaultKind::BadGateway,
    FaultKind::BadGatewayAfter,
    FaultKind::Unavailable,
    FaultKind::Slow,
    FaultKind::CutBefore,
    FaultKind::CutAfter,
    FaultKind::Truncated,
];

/// Names for several kinds at once.
const GROUPS: [(&str, &[FaultKind]); 2] = [
    ("5xx", &[FaultKind::Internal, FaultKind::BadGateway, FaultKind::Unavailable]),
    ("cut", &[FaultKind::CutBefore, FaultKind::CutAfter]),
];

impl FaultKind {
    /// The kind's name, as in plans and request logs.
    pub fn name(self) -> &'static str {
        KINDS.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A fault plan that cannot be meant.
#[derive(Debug, thiserror::Error)]
pub enum FaultPlanError {
    /// A part of the short form is not `name=value`, or its name is not known.
    #[error("`{0}` in the fault plan is not understood, expected seed=NUMBER,rate=0..1[,kinds=KIND+KIND]")]
    Part(String),
    /// A kind that does not exist.
    #[error("there is no fault `{kind}`, expected one of {known}")]
    Kind {
        /// What was asked for.
        kind: String,
        /// What there is.
        known: String,
    },
    /// A rate outside 0 to 1.
    #[error("the fault rate {0} is not a share of all requests, expected a number from 0 to 1")]
    Rate(f64),
    /// The JSON form is not readable.
    #[error("the fault plan is not readable: {0}")]
    Json(#[from] serde_json::Error),
}

/// Which requests go wrong, and how.
///
/// The decision for the n-th request of a server that fits `methods` and
/// `path` is a function of the seed, the system and n alone, so a plan
/// played again on the same requests gives the same faults.
///
/// Short form: `seed=7,rate=0.1,kinds=429+cut-after`. JSON form, for `POST
/// /_sandbox/faults`: the fields by name; `{}` clears.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultPlan {
    /// What the decisions are drawn from.
    pub seed: u64,
    /// Share of requests that go wrong, 0 to 1.
    pub rate: f64,
    /// What may happen to them.
    pub kinds: Vec<FaultKind>,
    /// Only requests with one of these methods, upper case; empty: any.
    pub methods: Vec<String>,
    /// Only requests whose path holds this; empty: any.
    pub path: String,
    /// Certain faults besides the drawn ones: the n-th request that fits, counted from 1, goes wrong like this.
    pub at: BTreeMap<u64, FaultKind>,
    /// After so many faults all goes well again.
    pub limit: Option<u64>,
    /// The longest delay of a slow answer, in milliseconds; at most 30,000.
    pub slow_ms: u64,
    /// The seconds that `Retry-After` says.
    pub retry_after: u64,
}

impl Default for FaultPlan {
    fn default() -> Self {
        FaultPlan {
            seed: 0,
            rate: 0.0,
            kinds: DEFAULT_KINDS.to_vec(),
            methods: Vec::new(),
            path: String::new(),
            at: BTreeMap::new(),
            limit: None,
            slow_ms: 400,
            retry_after: 1,
        }
    }
}

impl FromStr for FaultPlan {
    type Err = FaultPlanError;

    fn from_str(text: &str) -> Result<Self, FaultPlanError> {
        let mut plan = FaultPlan::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let wrong = || FaultPlanError::Part(part.to_owned());
            let (name, value) = part.split_once('=').ok_or_else(wrong)?;
            match name.trim() {
                "seed" => plan.seed = value.trim().parse().map_err(|_| wrong())?,
                "rate" => plan.rate = value.trim().parse().map_err(|_| wrong())?,
                "limit" => plan.limit = Some(value.trim().parse().map_err(|_| wrong())?),
                "kinds" => plan.kinds = kinds(value)?,
                _ => return Err(wrong()),
            }
        }
        plan.checked()
    }
}

fn kinds(names: &str) -> Result<Vec<FaultKind>, FaultPlanError> {
    let mut kinds = Vec::new();
    for name in names.split('+').map(str::trim) {
        let group = GROUPS.iter().find(|(group, _)| *group == name).map(|(_, kinds)| kinds.to_vec());
        let single = || KINDS.iter().find(|(kind, _)| *kind == name).map(|(_, kind)| vec![*kind]);
        let found = group.or_else(single).ok_or_else(|| FaultPlanError::Kind {
            kind: name.to_owned(),
            known: KINDS
                .iter()
                .map(|(kind, _)| *kind)
                .chain(GROUPS.iter().map(|(g, _)| *g))
                .collect::<Vec<_>>()
                .join(" "),
        })?;
        kinds.extend(found);
    }
    Ok(kinds)
}

impl FaultPlan {
    /// Reads the JSON form; nothing, `null` and `{}` are the plan without faults.
    pub fn from_json(json: &[u8]) -> Result<FaultPlan, FaultPlanError> {
        if json.trim_ascii().is_empty() || json.trim_ascii() == b"null" {
            return Ok(FaultPlan::default());
        }
        serde_json::from_slice::<FaultPlan>(json)?.checked()
    }

    fn checked(self) -> Result<FaultPlan, FaultPlanError> {
        if (0.0..=1.0).contains(&self.rate) { Ok(self) } else { Err(FaultPlanError::Rate(self.rate)) }
    }

    /// The short form of a plan, to be printed so that it can be played again.
    pub fn describe(&self) -> String {
        let kinds: Vec<_> = self.kinds.iter().map(|kind| kind.name()).collect();
        format!("seed={},rate={},kinds={}", self.seed, self.rate, kinds.join("+"))
    }
}

/// What is to happen to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    /// How long a slow answer is held back.
    pub(crate) delay_ms: u64,
    /// The seconds that `Retry-After` says.
    pub(crate) retry_after: u64,
}

/// A plan at work on one server.
#[derive(Debug)]
pub(crate) struct Faults {
    plan: FaultPlan,
    /// Servers with the same plan do not fail at the same numbers.
    salt: u64,
    fitting: u64,
    done: u64,
}

impl Faults {
    pub(crate) fn new(plan: FaultPlan, system: &str) -> Self {
        let salt = xxh3_64_with_seed(system.as_bytes(), plan.seed);
        Faults { plan, salt, fitting: 0, done: 0 }
    }

    pub(crate) fn plan(&self) -> &FaultPlan {
        &self.plan
    }

    /// Decides about the next request.
    pub(crate) fn decide(&mut self, method: &str, path: &str) -> Option<Fault> {
        let plan = &self.plan;
        let fits = plan.methods.is_empty() || plan.methods.iter().any(|m| m.eq_ignore_ascii_case(method));
        if !fits || !path.contains(&plan.path) {
            return None;
        }
        self.fitting += 1;
        if plan.limit.is_some_and(|limit| self.done >= limit) {
            return None;
        }
        let number = self.fitting.to_le_bytes();
        let draw = |purpose: u64| xxh3_64_with_seed(&number, self.salt.wrapping_add(purpose));
        // 53 bits are what a float holds exactly.
        let share = (draw(0) >> 11) as f64 / (1_u64 << 53) as f64;
        let drawn = || {
            let kinds = &plan.kinds;
            (share < plan.rate && !kinds.is_empty()).then(|| kinds[(draw(1) % kinds.len() as u64) as usize])
        };
        let kind = plan.at.get(&self.fitting).copied().or_else(drawn)?;
        let longest = plan.slow_ms.min(LONGEST_DELAY_MS);
        let delay_ms = if longest == 0 { 0 } else { 1 + draw(2) % longest };
        let retry_after = plan.retry_after;
        self.done += 1;
        Some(Fault { kind, delay_ms, retry_after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play(plan: &str, system: &str) -> Vec<Option<Fault>> {
        let mut faults = Faults::new(plan.parse().unwrap(), system);
        (0..1_000).map(|_| faults.decide("GET", "/x")).collect()
    }

    #[test]
    fn the_same_seed_fails_the_same_requests() {
        assert_eq!(play("seed=4,rate=0.2", "a"), play("seed=4,rate=0.2", "a"));
        assert_ne!(play("seed=4,rate=0.2", "a"), play("seed=5,rate=0.2", "a"));
        assert_ne!(play("seed=4,rate=0.2", "a"), play("seed=4,rate=0.2", "b"));
    }

    #[test]
    fn the_rate_is_kept_and_every_kind_occurs() {
        let faults: Vec<_> = play("seed=1,rate=0.3", "a").into_iter().flatten().collect();
        assert!((250..350).contains(&faults.len()), "{}", faults.len());
        for kind in DEFAULT_KINDS {
            assert!(faults.iter().any(|fault| fault.kind == kind), "{kind} never happened");
        }
        assert!(faults.iter().all(|fault| fault.delay_ms <= 400));
    }

    #[test]
    fn groups_and_kinds_can_be_named() {
        let plan: FaultPlan = "seed=1, rate=1, kinds=5xx+cut-after".parse().unwrap();
        assert_eq!(plan.describe(), "seed=1,rate=1,kinds=500+502+503+cut-after");
        assert_eq!(plan.describe().parse::<FaultPlan>().unwrap(), plan);
        let json = serde_json::to_vec(&plan).unwrap();
        assert_eq!(FaultPlan::from_json(&json).unwrap(), plan);
    }

    #[test]
    fn a_plan_that_cannot_be_meant_is_refused() {
        let error = |text: &str| text.parse::<FaultPlan>().unwrap_err().to_string();
        assert!(error("rate=2").contains("from 0 to 1"));
        assert!(error("kinds=429+fire").contains("`fire`"));
        assert!(error("sead=2").contains("sead=2"));
        assert!(FaultPlan::from_json(br#"{"rates": 1}"#).is_err());
        assert_eq!(FaultPlan::from_json(b"{}").unwrap().rate, 0.0);
    }

    #[test]
    fn faults_can_be_aimed() {
        let plan = br#"{"methods": ["POST"], "path": "/issue", "at": {"2": "cut-after"}}"#;
        let mut faults = Faults::new(FaultPlan::from_json(plan).unwrap(), "a");
        assert_eq!(faults.decide("POST", "/rest/issue"), None);
        assert_eq!(faults.decide("GET", "/rest/issue"), None);
        assert_eq!(faults.decide("POST", "/rest/search"), None);
        assert_eq!(faults.decide("POST", "/rest/issue").unwrap().kind, FaultKind::CutAfter);
        assert_eq!(faults.decide("POST", "/rest/issue"), None);
    }

    #[test]
    fn after_the_limit_all_goes_well() {
        assert_eq!(play("seed=1,rate=1,limit=3", "a").iter().flatten().count(), 3);
    }
}
