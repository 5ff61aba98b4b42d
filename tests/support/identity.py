# SPDX-License-Identifier: BSD-3-Clause
"""Certificates and identity providers of a test, made anew for it."""

from __future__ import annotations

__all__ = ["Certificates", "Provider"]

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import jwt
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ISSUER = "https://login.example.org"
AUDIENCE = "butler"


class Certificates:
    """An authority, the certificate of a service on this machine, and those of machines."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._authority = trustme.CA()
        self.ca = self._write("ca.pem", self._authority.cert_pem.bytes())
        self.certificate, self.key = folder / "service.pem", folder / "service.key"
        self.renew()

    def renew(self) -> bytes:
        """Make the service's certificate anew, of the same authority; return it."""
        made = self._authority.issue_cert("127.0.0.1", "localhost")
        certificate = b"".join(blob.bytes() for blob in made.cert_chain_pems)
        # As an operator's tool does: key and certificate are each replaced at once.
        self._write("service.key", made.private_key_pem.bytes())
        self._write("service.pem", certificate)
        return certificate

    def of_machine(self, name: str, *hosts: str) -> tuple[Path, Path]:
        """Return files of the certificate and the key of a machine, which may also serve under the names of hosts."""
        made = self._authority.issue_cert(*hosts, common_name=name)
        certificate = b"".join(blob.bytes() for blob in made.cert_chain_pems)
        files = f"{name}.pem", f"{name}.key"
        return self._write(files[0], certificate), self._write(files[1], made.private_key_pem.bytes())

    def _write(self, name: str, content: bytes) -> Path:
        draft = self.folder / f".{name}"
        draft.write_bytes(content)
        draft.chmod(0o600)
        return draft.replace(self.folder / name)


class Provider:
    """An identity provider: it signs tokens, and publishes its keys in a file.

    Attributes
    ----------
    file
        Its keys in the form of JWKS.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._rsa = {"first": rsa.generate_private_key(public_exponent=65537, key_size=2048)}
        self._ec = {"curve": ec.generate_private_key(ec.SECP256R1())}
        self.publish()

    def publish(self) -> None:
        """Write the keys that it has now."""
        draft = self.file.with_suffix(".draft")
        draft.write_text(json.dumps(self.keys()))
        draft.replace(self.file)

    def keys(self) -> dict[str, Any]:
        """Return the public keys."""
        rsa_keys = [self._public(RSAAlgorithm, kid, "RS256", key) for kid, key in self._rsa.items()]
        return {
            "keys": rsa_keys + [self._public(ECAlgorithm, kid, "ES256", key) for kid, key in self._ec.items()]
        }

    def rotate(self, kid: str) -> None:
        """Have another key instead of the first, and do not tell yet."""
        self._rsa = {kid: rsa.generate_private_key(public_exponent=65537, key_size=2048)}

    def token(
        self, user: str = "alice", *groups: str, kid: str = "", algorithm: str = "RS256", **claims: Any
    ) -> str:
        """Return a token that is good for ten minutes, but for what ``claims`` say."""
        keys: dict[str, Any] = {**self._rsa, **self._ec}
        kid = kid or next(iter(self._rsa if algorithm == "RS256" else self._ec))
        return jwt.encode(self.claims(user, *groups, **claims), keys[kid], algorithm, headers={"kid": kid})

    def claims(self, user: str = "alice", *groups: str, **claims: Any) -> dict[str, Any]:
        """Return what a token says."""
        now = int(time.time())
        content = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user,
            "groups": list(groups),
            "iat": now,
            "exp": now + 600,
        }
        return {name: value for name, value in {**content, **claims}.items() if value is not None}

    def unsigned(self) -> str:
        """Return a token that says that it needs no signature."""
        return jwt.encode(self.claims(), "", "none", headers={"kid": "first"})

    def signed_by_public_key(self) -> str:
        """Return a token that takes the text of the public key, which everybody has, for a shared secret."""
        public = self._rsa["first"].public_key()
        text = public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        header = {"alg": "HS256", "typ": "JWT", "kid": "first"}
        # By hand, since no library would do it.
        signed = b".".join(_encoded(json.dumps(part).encode()) for part in (header, self.claims()))
        return (signed + b"." + _encoded(hmac.digest(text, signed, hashlib.sha256))).decode()

    def _public(self, kind: Any, kid: str, algorithm: str, key: Any) -> dict[str, Any]:
        public = json.loads(kind.to_jwk(key.public_key()))
        return {**public, "kid": kid, "alg": algorithm, "use": "sig"}


def _encoded(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")
