"""Who may log in at ``login_server``, and how each is asked."""

from __future__ import annotations

from tests.server_process import HOST

__all__ = ["PASSWORD", "RULES", "USERS"]

PASSWORD = "correct horse"
RULES = f"""
local   all postgres                trust
local   all scram_user              scram-sha-256
host    all postgres     {HOST}/32  trust
host    all asker        {HOST}/32  trust
hostssl all cert_user    {HOST}/32  cert
hostssl all tls_user     {HOST}/32  scram-sha-256
hostnossl all plaintext_user {HOST}/32 trust
host    all md5_user     {HOST}/32  md5
host    all plain_user   {HOST}/32  password
host    all scram_user   {HOST}/32  scram-sha-256
host    all other_user   {HOST}/32  scram-sha-256
"""
USERS = f"""
SET password_encryption = 'md5';
CREATE ROLE md5_user LOGIN PASSWORD '{PASSWORD}';
SET password_encryption = 'scram-sha-256';
CREATE ROLE scram_user LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE other_user LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE tls_user LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE plain_user LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE cert_user LOGIN;
CREATE ROLE plaintext_user LOGIN;
CREATE ROLE asker LOGIN SUPERUSER;
"""
