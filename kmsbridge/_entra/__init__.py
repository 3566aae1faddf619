"""Tokens of Microsoft Entra, for the providers that need them.

One identity has one credential and one set of tokens in a process, whatever the number of
providers, bridges, vaults and accounts that use it::

    identity = login(options, location.credential, authority=None)    # _login: options checked, no I/O
    check_mode(identity, runtime)                                      # _credentials: an async one needs a loop
    tokens = tokens_of(identity)                                       # _tokens: one set of them
    client = SecretClient(url, Asking(tokens), ...)                    # _asking: AsyncAsking for an async client

A provider's rule table holds `NUMBERED`, `WORDED` and `AZURE_CORE` beside its own rules,
its reader begins with `read` for what came through the door `IDENTITY`, and its decoder
takes `answer_of` for the SDK's exceptions. Nothing here is loaded by ``import kmsbridge``.
"""
