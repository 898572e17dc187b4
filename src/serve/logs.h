#pragma once
#include "model/config.h"

/* What goes into the local logs of a listener: security.log and the access log. The ledger and the summary are not
 * concerned. */
enum log_class { CLASS_NONE, CLASS_AUTHENTICATION, CLASS_AUTHORIZATION, CLASS_ISSUANCE };

bool logs_wanted(const struct logs_settings *, enum log_class, int status);
