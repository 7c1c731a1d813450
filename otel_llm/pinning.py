"""Trust in one certificate and no other: how programs of this machine know the running `up`.

`up` puts the certificate that it shows into its run file, which lies in a private directory beside
the token. Whoever reads it there needs no authority and no name: mostly the certificate is issued
for the host's name, while the run file holds an address.
"""

import ssl


def context(certificate: str) -> ssl.SSLContext:
    """A client's context that accepts a server with exactly this certificate, while it is valid.

    Args:
        certificate: in PEM form.

    Raises:
        ssl.SSLError: it is none.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.check_hostname = False
    # Set by PROTOCOL_TLS_CLIENT already; without it nothing here would be checked.
    made.verify_mode = ssl.CERT_REQUIRED
    # The certificate itself is the anchor, though an authority signed it.
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    made.load_verify_locations(cadata=certificate)
    return made
