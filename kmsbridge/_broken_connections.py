"""Failures below HTTP, by the words and class names of what printed them: rules for every provider's table.

Where the text of an SDK is all there is, its codes and words come first; these are tried
last. Python's requests, urllib3 and aiohttp; then what Go, .NET, Java and Node.js print for
the same (issues named beside the rules). Only failures that certainly come before the
request is on its way are `NOT_SENT`.
"""

from __future__ import annotations

from kmsbridge._decode import Rule
from kmsbridge._errors import Code, Outcome, RetryAction

_NEVER, _NOT_SENT, _UNKNOWN = RetryAction.NEVER, Outcome.NOT_SENT, Outcome.UNKNOWN
_TLS = "Check the address, and name the private CA if a proxy or the service uses one."
_DNS = "Check the address: what does not exist has no name; then name resolution and private DNS."

# fmt: off
BROKEN_CONNECTIONS: tuple[Rule, ...] = (
    Rule(None, Code.NETWORK_ERROR, action=_NEVER, outcome=_NOT_SENT,
         # Python, OpenSSL, aiohttp; Go; Node.js; .NET; Java (azure-sdk-for-python 8909, 10829)
         says=r"certificate[ _]verify[ "
              r"_]failed|SSLCertVerificationError|ClientConnectorCertificateError|CertificateError"
              r"|self.signed certificate|SELF_SIGNED_CERT|unable to (?:get local issuer|verify the first) certificate"
              r"|UNABLE_TO_(?:VERIFY|GET_ISSUER)|CERT_HAS_EXPIRED|ALTNAME_INVALID|\bx509: "
              r"|hostname .{1,100} doesn't match|remote certificate (?:is|was)|PKIX path"
              r"|valid certification path|could not establish trust",
         sentence="the TLS certificate of the address is not trusted", remediation=_TLS),
    Rule(None, Code.NETWORK_ERROR, action=_NEVER, outcome=_NOT_SENT, says=r"SSL module is not available",
         sentence="this Python has no TLS", remediation="Use a Python that is built with OpenSSL."),
    Rule(None, Code.NETWORK_ERROR, action=_NEVER, outcome=_NOT_SENT,
         says=r"suitable TLS CA certificate bundle", sentence="the file of the CA cannot be read",
         remediation="Check the path of the CA file, and the variable that names it."),
    Rule(None, Code.NETWORK_ERROR, action=_NEVER, outcome=_NOT_SENT,
         says=r"WRONG_VERSION_NUMBER|UNSUPPORTED_PROTOCOL|TLSV1_ALERT|SSLV3_ALERT|unknown protocol|first record does "
              r"not look",
         sentence="no TLS connection could be agreed on", remediation=_TLS),
    Rule(None, Code.NETWORK_FORBIDDEN, outcome=_NOT_SENT,
         says=r"tunnel connection failed: 40[37]|proxy authentication required",
         sentence="the proxy on the way refuses the connection",
         remediation="Give the proxy's user and password in the proxy variable, or name the backend in NO_PROXY."),
    Rule(None, Code.NETWORK_ERROR, outcome=_NOT_SENT, says=r"cannot connect to proxy|ProxyConnectionError|ProxyError",
         sentence="the proxy could not be reached", remediation="Check the proxy variables."),
    Rule(None, Code.NETWORK_ERROR, outcome=_NOT_SENT,
         # azure-cli 28119; azure-sdk-for-python 30023
         says=r"name or service not known|name "
              r"resolution|NameResolutionError|ClientConnectorDNSError|\bgaierror\b|getaddrinfo"
              r"|nodename nor servname|failed to resolve|no such host|No address associated|\bENOTFOUND\b|\bEAI_AGAIN\b"
              r"|UnknownHostException|could not be resolved|name does not resolve",
         sentence="the name of the backend could not be resolved", remediation=_DNS),
    Rule(None, Code.TIMEOUT, outcome=_NOT_SENT,
         says=r"WinError 10060|did not properly respond after a period|ServiceRequestTimeoutError|ConnectTimeout"
              r"|ConnectionTimeoutError|connect timeout|dial tcp.{0,80}i/o timeout"
              r"|Failed to establish a new connection.{0,80}timed out|ConnectTimeoutException",
         sentence="no connection could be made in time"),
    Rule(None, Code.NETWORK_ERROR, outcome=_NOT_SENT,
         says=r"ConnectionRefused|connection refused|actively refused|\bECONNREFUSED\b|failed to establish a new "
              r"connection"
              r"|NewConnectionError|network is unreachable|\bENETUNREACH\b|no route to host|\bEHOSTUNREACH\b"
              r"|ClientConnector\w*Error|cannot connect to host",
         sentence="no connection could be made"),
    Rule(None, Code.TIMEOUT, outcome=_UNKNOWN,
         says=r"ServiceResponseTimeoutError|ReadTimeout|read timed "
              r"out|SocketTimeoutError|ServerTimeoutError|\bTimeoutError\b"
              r"|context deadline "
              r"exceeded|HttpClient\.Timeout|TaskCanceledException|SocketTimeoutException|\bETIMEDOUT\b"
              r"|\bESOCKETTIMEDOUT\b|request timed out"),
    Rule(None, Code.NETWORK_ERROR, outcome=_UNKNOWN,
         says=r"connection (?:was )?(?:reset|aborted|closed)|Connection(?:Reset|Aborted)Error|\bECONNRESET\b|forcibly "
              r"closed"
              r"|ServerDisconnected|RemoteDisconnected|broken "
              r"pipe|\bEPIPE\b|IncompleteRead|ClientPayloadError|ChunkedEncoding"
              r"|socket hang up|closed (?:the )?connection|unexpected EOF|premature|response ended prematurely"
              r"|ServiceResponseError|ProtocolError|ClientOSError|SSLError|EOF occurred in violation|handshake",
         sentence="the connection broke"),
    # a body that is not what its type says; with its answer's status where there is one
    Rule(None, Code.INTERNAL_ERROR, says=r"\bDecodeError\b|JSONDecodeError|DeserializationError|UnicodeDecodeError",
         sentence="the backend answered success without what it must hold"),
)
# fmt: on
