"""A campaign's life: every action in every state."""

from __future__ import annotations

import pytest

from clarion_core.domain.campaign import (
    DELETABLE,
    UPDATABLE,
    Action,
    AmbiguityPolicy,
    CampaignState,
    Category,
    Definition,
    after,
    campaign_key,
    names_of,
)
from clarion_core.domain.errors import CampaignStateError

D, L, P, S = CampaignState.DRAFT, CampaignState.LIVE, CampaignState.PAUSED, CampaignState.STOPPED
ALLOWED = {
    (Action.ACTIVATE, D): L,
    (Action.PAUSE, L): P,
    (Action.RESUME, P): L,
    (Action.STOP, L): S,
    (Action.STOP, P): S,
}
EVERY = [(action, state) for action in Action for state in CampaignState]


@pytest.mark.parametrize(("action", "state"), ALLOWED)
def test_an_allowed_action_leads_to_its_state(action: Action, state: CampaignState) -> None:
    assert after(action, state, name="campaigns/welcome") is ALLOWED[action, state]


@pytest.mark.parametrize(("action", "state"), [pair for pair in EVERY if pair not in ALLOWED])
def test_any_other_action_is_refused_and_told_what_would_be_right(action: Action, state: CampaignState) -> None:
    with pytest.raises(CampaignStateError) as caught:
        after(action, state, name="campaigns/welcome")
    error = caught.value
    assert error.reason == "CAMPAIGN_STATE"
    assert (error.resource, error.state) == ("campaigns/welcome", state.name)
    assert error.allowed == tuple(other.name for other in CampaignState if (action, other) in ALLOWED)
    assert error.metadata == {
        "resource": "campaigns/welcome",
        "state": state.name,
        "allowed": ",".join(error.allowed),
    }


def test_a_stopped_campaign_never_runs_again() -> None:
    assert not any(state is S for _, state in ALLOWED)
    assert S in DELETABLE
    assert S not in UPDATABLE


def test_states_are_named_in_the_order_of_a_campaigns_life() -> None:
    assert names_of(frozenset({S, P, D, L})) == ["DRAFT", "LIVE", "PAUSED", "STOPPED"]


@pytest.mark.parametrize(
    ("category", "expected"),
    [
        (Category.TRANSACTIONAL, AmbiguityPolicy.AT_LEAST_ONCE),
        (Category.MARKETING, AmbiguityPolicy.AT_MOST_ONCE),
    ],
)
def test_the_category_chooses_the_policy_unless_the_campaign_does(
    category: Category, expected: AmbiguityPolicy
) -> None:
    assert Definition(category=category).ambiguity is expected
    for chosen in AmbiguityPolicy:
        assert Definition(category=category, ambiguity_policy=chosen).ambiguity is chosen


def test_a_campaigns_lane_is_its_category() -> None:
    assert [Definition(category=category).lane for category in Category] == ["urgent", "transactional", "marketing"]


def test_campaigns_of_two_workspaces_have_two_keys() -> None:
    assert campaign_key("a", "welcome") != campaign_key("b", "welcome")
