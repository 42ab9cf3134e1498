use std::{error, fmt, time::Duration};

use crate::{ClaimsError, IdError, RandomError, Scope, id::ID_RULE};

/// Why a grant was refused. Nothing was issued.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum IssueError {
    /// The user id, a group name or the audience is not a valid id.
    InvalidId {
        /// The claim it is for: `sub`, `grp` or `aud`.
        claim: &'static str,
        /// What is wrong with it.
        source: IdError,
    },
    /// The grant names more than 8 groups.
    TooManyGroups {
        /// How many it names.
        groups: usize,
    },
    /// The grant names a group twice.
    DuplicateGroup {
        /// The group.
        group: String,
    },
    /// The application's claims could not be serialized.
    Claims(ClaimsError),
    /// The application's claims are not a JSON object.
    ClaimsNotAnObject,
    /// The application has more than 64 claims of its own at the top level.
    TooManyClaims {
        /// How many it has.
        claims: usize,
    },
    /// The application's claims are raw JSON with white space, with escapes in the
    /// names at the top level, or nested more than 126 deep.
    ClaimsNotCompact,
    /// A claim of the application has a reserved name: one that the token itself
    /// uses, or `nbf` or `client_id`, which other readers would act upon; in upper or
    /// lower case.
    RegisteredClaim {
        /// The name.
        name: String,
    },
    /// Two claims of the application have the same name.
    DuplicateClaim {
        /// The name.
        name: String,
    },
    /// A claim of the application has a name that is not a valid id.
    InvalidClaimName {
        /// The name.
        name: String,
        /// What is wrong with it.
        source: IdError,
    },
    /// The lifetime is not a positive number of whole seconds.
    InvalidLifetime {
        /// The lifetime asked for.
        lifetime: Duration,
    },
    /// The lifetime is longer than the policy's `max_token_lifetime`, or than that
    /// of the policy under which the present ring key was introduced.
    LifetimeTooLong {
        /// The lifetime asked for.
        lifetime: Duration,
        /// The longest that would be granted now.
        longest: Duration,
    },
    /// The time of authentication is in the future beyond the policy's leeway.
    AuthenticatedInFuture,
    /// The time of authentication is not stated, or so long ago that this authority's
    /// policy would refuse the token.
    AuthenticationTooOld,
    /// The token would be longer than the policy's limit, so nobody would accept it.
    TokenTooLong {
        /// Its length in bytes.
        length: usize,
        /// The policy's limit in bytes.
        limit: usize,
    },
    /// A scope of the grant was bumped after its mark: what the grant rests on may
    /// not be true any more.
    BumpedSinceMark {
        /// The scope.
        scope: Scope,
    },
    /// The grant's mark is from another authority's past, or so old that bumps
    /// since may have been forgotten.
    OutdatedMark,
    /// This process has no fresh news of the store, so it must not issue.
    StaleEpochs,
    /// The operating system gave no random bytes.
    Random(RandomError),
}

impl IssueError {
    /// Whether the same log-in may succeed in a moment: take a new mark and read the facts
    /// again, or answer with `503`.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            IssueError::BumpedSinceMark { .. } | IssueError::OutdatedMark | IssueError::StaleEpochs
        )
    }

    /// A short fixed name for metrics and logs, such as `bumped_since_mark`.
    pub fn label(&self) -> &'static str {
        match self {
            IssueError::InvalidId { .. } => "invalid_id",
            IssueError::TooManyGroups { .. } => "too_many_groups",
            IssueError::DuplicateGroup { .. } => "duplicate_group",
            IssueError::Claims(_) => "claims",
            IssueError::ClaimsNotAnObject => "claims_not_an_object",
            IssueError::TooManyClaims { .. } => "too_many_claims",
            IssueError::ClaimsNotCompact => "claims_not_compact",
            IssueError::RegisteredClaim { .. } => "registered_claim",
            IssueError::DuplicateClaim { .. } => "duplicate_claim",
            IssueError::InvalidClaimName { .. } => "invalid_claim_name",
            IssueError::InvalidLifetime { .. } => "invalid_lifetime",
            IssueError::LifetimeTooLong { .. } => "lifetime_too_long",
            IssueError::AuthenticatedInFuture => "authenticated_in_future",
            IssueError::AuthenticationTooOld => "authentication_too_old",
            IssueError::TokenTooLong { .. } => "token_too_long",
            IssueError::BumpedSinceMark { .. } => "bumped_since_mark",
            IssueError::OutdatedMark => "outdated_mark",
            IssueError::StaleEpochs => "stale_epochs",
            IssueError::Random(_) => "random",
        }
    }
}

impl fmt::Display for IssueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IssueError::InvalidId { claim, .. } => {
                write!(f, "the id for the claim `{claim}` {ID_RULE}")
            }
            IssueError::TooManyGroups { groups } => write!(
                f,
                "the grant names {groups} groups; a token carries at most 8, so name those you \
                 would bump"
            ),
            IssueError::DuplicateGroup { group } => {
                write!(f, "the grant names group {group:?} twice; name it once")
            }
            IssueError::Claims(_) => f.write_str("the claims could not be serialized to JSON"),
            IssueError::ClaimsNotAnObject => f.write_str(
                "the claims are not a JSON object; use a struct or a map with string keys",
            ),
            IssueError::TooManyClaims { claims } => write!(
                f,
                "there are {claims} claims at the top level; a token carries at most 64 there, so \
                 nest them in an object"
            ),
            IssueError::ClaimsNotCompact => f.write_str(
                "the claims have white space or escaped names, or nest too deep; write them \
                 compactly and flatter",
            ),
            IssueError::RegisteredClaim { name } => {
                write!(f, "the claim name {name:?} is reserved; rename yours")
            }
            IssueError::DuplicateClaim { name } => {
                write!(f, "two claims are named {name:?}; rename one")
            }
            IssueError::InvalidClaimName { name, .. } => {
                write!(f, "the claim name {name:?} {ID_RULE}; rename it")
            }
            IssueError::InvalidLifetime { lifetime } => write!(
                f,
                "the lifetime {lifetime:?} is not a positive number of whole seconds; round it"
            ),
            IssueError::LifetimeTooLong { lifetime, longest } => write!(
                f,
                "the lifetime {lifetime:?} exceeds {longest:?}, the longest allowed now; ask for \
                 less, or build the authority with a longer `max_token_lifetime`"
            ),
            IssueError::AuthenticatedInFuture => {
                f.write_str("the time of authentication is in the future; compare the clocks")
            }
            IssueError::AuthenticationTooOld => f.write_str(
                "the policy's `max_authentication_age` would refuse the token; ask the user to \
                 authenticate, and say so with `authenticated_now`",
            ),
            IssueError::TokenTooLong { length, limit } => write!(
                f,
                "the token would be {length} bytes long, over the limit of {limit}; put less into \
                 its claims, or raise the policy's `max_token_length` wherever it is verified"
            ),
            IssueError::BumpedSinceMark { scope } => write!(
                f,
                "the {} was bumped after the mark; read the facts again, with a new mark",
                scope.kind()
            ),
            IssueError::OutdatedMark => {
                f.write_str("the mark is outdated; read the facts again, with a new mark")
            }
            IssueError::StaleEpochs => f.write_str("the epoch table is stale; try again"),
            IssueError::Random(_) => f.write_str("no random bytes for the token's id"),
        }
    }
}

impl error::Error for IssueError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            IssueError::InvalidId { source, .. } | IssueError::InvalidClaimName { source, .. } => {
                Some(source)
            }
            IssueError::Claims(source) => source.source(),
            IssueError::Random(source) => Some(source),
            _ => None,
        }
    }
}

impl From<RandomError> for IssueError {
    fn from(error: RandomError) -> Self {
        IssueError::Random(error)
    }
}
