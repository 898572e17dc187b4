#pragma once
#include <stdbool.h>

bool network_valid(const char *network);
/* "10.0.0.0/8", "2001:db8::/32", "::1": whether an address, as text, lies in it. */
bool network_has(const char *network, const char *address);
