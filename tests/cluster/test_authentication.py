"""A proof is bound to everything that it is about."""

from itertools import product

from runner.cluster.authentication import Side, new_nonce, new_secret, proof, proves

_CHOICES = {
    "secret": (bytes(32), bytes(range(32))),
    "side": tuple(Side),
    "run_id": ("r", "run"),
    "node": ("n", "unn"),
    "nonces": ((bytes(32), b"a" * 32), (b"a" * 32, bytes(32))),
}
_CLAIMS = [dict(zip(_CHOICES, values, strict=True)) for values in product(*_CHOICES.values())]


def test_proofs_are_equal_exactly_if_everything_is():
    proofs = [proof(**claim) for claim in _CLAIMS]

    assert len(set(proofs)) == 32
    assert all(proves(one, proof(**claim)) for one, claim in zip(proofs, _CLAIMS, strict=True))
    assert not proves(proofs[0], proofs[1])


def test_secrets_and_nonces_are_new_each_time():
    assert len({new_secret(), new_secret(), new_nonce(), new_nonce()}) == 4
