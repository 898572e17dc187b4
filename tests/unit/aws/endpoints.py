#!/usr/bin/env python3
"""Writes endpoints.txt: where botocore sends the requests of some services: name, region, FIPS, dual stack, address. Run it
only to make new ones: tests/unit/aws/endpoints.py >tests/unit/aws/endpoints.txt"""
import itertools

import botocore.session
from botocore.config import Config
from botocore.exceptions import EndpointVariantError

CALLS = {"kms": lambda c: c.list_keys(), "secretsmanager": lambda c: c.list_secrets(), "sts": lambda c: c.get_caller_identity(),
         "sso": lambda c: c.get_role_credentials(roleName="r", accountId="1", accessToken="t")}
REGIONS = ["us-east-1", "eu-west-1", "us-gov-west-1", "us-gov-east-1", "cn-north-1", "us-iso-east-1", "us-isob-east-1",
           "eu-isoe-west-1", "us-isof-south-1", "eusc-de-east-1", "il-central-1"]


class Stop(Exception):
    pass


def where(service, region, fips, dual):
    config = Config(use_fips_endpoint=bool(fips), use_dualstack_endpoint=bool(dual))
    client = botocore.session.get_session().create_client(service, region, aws_access_key_id="a", aws_secret_access_key="b",
                                                          config=config)
    seen = []

    def stop(request, **_):
        seen.append(request.url)
        raise Stop

    client.meta.events.register("before-send.*.*", stop)
    try:
        CALLS[service](client)
    except Stop:
        return "/".join(seen[0].split("/")[:3])


for region, service, fips, dual in itertools.product(REGIONS, CALLS, (0, 1), (0, 1)):
    if (service, region, fips, dual) == ("secretsmanager", "cn-north-1", 1, 1):
        continue  # there is no FIPS in China
    try:
        print(service, region, fips, dual, where(service, region, fips, dual))
    except EndpointVariantError:
        pass
