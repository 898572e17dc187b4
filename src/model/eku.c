/* Extended key usages by name (RFC 5280 4.2.1.12 and the SMI registry), in one table. A usage is known under one
 * canonical name; names are read without regard to case, '_' and '-', and the names of other tools are understood.
 * Usages that the table lacks stay what they are: dotted object identifiers. */
#include "model/profile.h"

#include <string.h>

#include "base/text.h"

struct eku {
	const char *name, *oid;
	const char *aka[2];
};

#define PKIX_KP "1.3.6.1.5.5.7.3."
#define MS "1.3.6.1.4.1.311."

static const struct eku ekus[] = {
	{ "any", "2.5.29.37.0", { "anyExtendedKeyUsage" } },
	{ "serverAuth", PKIX_KP "1", { 0 } },
	{ "clientAuth", PKIX_KP "2", { 0 } },
	{ "codeSigning", PKIX_KP "3", { 0 } },
	{ "emailProtection", PKIX_KP "4", { 0 } },
	{ "ipsecEndSystem", PKIX_KP "5", { 0 } },
	{ "ipsecTunnel", PKIX_KP "6", { 0 } },
	{ "ipsecUser", PKIX_KP "7", { 0 } },
	{ "timeStamping", PKIX_KP "8", { 0 } },
	{ "ocspSigning", PKIX_KP "9", { 0 } },
	{ "dvcs", PKIX_KP "10", { 0 } },
	{ "eapOverPPP", PKIX_KP "13", { 0 } },
	{ "eapOverLAN", PKIX_KP "14", { 0 } },
	{ "scvpServer", PKIX_KP "15", { 0 } },
	{ "scvpClient", PKIX_KP "16", { 0 } },
	{ "ipsecIKE", PKIX_KP "17", { "ipsecIKEIntermediate" } },
	{ "capwapAC", PKIX_KP "18", { 0 } },
	{ "capwapWTP", PKIX_KP "19", { 0 } },
	{ "sipDomain", PKIX_KP "20", { 0 } },
	{ "sshClient", PKIX_KP "21", { "secureShellClient" } },
	{ "sshServer", PKIX_KP "22", { "secureShellServer" } },
	{ "sendRouter", PKIX_KP "23", { 0 } },
	{ "sendProxy", PKIX_KP "24", { 0 } },
	{ "sendOwner", PKIX_KP "25", { 0 } },
	{ "sendProxiedOwner", PKIX_KP "26", { 0 } },
	{ "cmcCA", PKIX_KP "27", { 0 } },
	{ "cmcRA", PKIX_KP "28", { 0 } },
	{ "cmcArchive", PKIX_KP "29", { 0 } },
	{ "bgpsecRouter", PKIX_KP "30", { 0 } },
	{ "cmKGA", PKIX_KP "32", { 0 } },
	{ "documentSigning", PKIX_KP "36", { 0 } },
	{ "jwt", PKIX_KP "37", { 0 } },
	{ "httpContentEncrypt", PKIX_KP "38", { 0 } },
	{ "oauthAccessTokenSigning", PKIX_KP "39", { 0 } },
	{ "imUri", PKIX_KP "40", { 0 } },
	{ "pkinitClientAuth", "1.3.6.1.5.2.3.4", { "pkInitClientAuth" } },
	{ "pkinitKDC", "1.3.6.1.5.2.3.5", { "pkInitKDC" } },
	{ "msCodeInd", MS "2.1.21", { "MicrosoftIndividualCodeSigning" } },
	{ "msCodeCom", MS "2.1.22", { "MicrosoftCommercialCodeSigning" } },
	{ "msCTLSign", MS "10.3.1", { 0 } },
	{ "msSGC", MS "10.3.3", { "MicrosoftServerGatedCrypto" } },
	{ "msEFS", MS "10.3.4", { 0 } },
	{ "msDocumentSigning", MS "10.3.12", { "MicrosoftDocumentSigning" } },
	{ "smartcardLogon", MS "20.2.2", { "msSmartcardLogin", "MicrosoftSmartcardLogon" } },
	{ "msKernelCode", MS "61.1.1", { "MicrosoftKernelCodeSigning" } },
	{ "nsSGC", "2.16.840.1.113730.4.1", { "NetscapeServerGatedCrypto" } },
};

bool oid_valid(const char *s)
{
	unsigned arcs = 0, first = 0;

	if (!s || strlen(s) > 127)
		return false;
	for (;; s++) {
		size_t n = strspn(s, "0123456789");

		if (n == 0 || n > 18 || (n > 1 && s[0] == '0'))
			return false;
		if (arcs == 0) {
			if (n != 1 || s[0] > '2')
				return false;
			first = (unsigned)(s[0] - '0');
		} else if (arcs == 1 && first < 2 && (n > 2 || (n == 2 && s[0] > '3'))) {
			return false; /* X.660: at most 40 arcs under itu-t and iso */
		}
		arcs++;
		s += n;
		if (*s == '\0')
			return arcs >= 2;
		if (*s != '.')
			return false;
	}
}

static bool known_as(const struct eku *e, const char *text)
{
	if (text_same_name(e->name, text) || strcmp(e->oid, text) == 0)
		return true;
	for (size_t i = 0; i < COUNT(e->aka) && e->aka[i]; i++)
		if (text_same_name(e->aka[i], text))
			return true;
	return false;
}

const char *eku_canonical(struct arena *a, const char *text)
{
	for (size_t i = 0; i < COUNT(ekus); i++)
		if (known_as(&ekus[i], text))
			return ekus[i].name;
	return oid_valid(text) ? arena_strdup(a, text) : NULL;
}

const char *eku_oid(const char *name)
{
	for (size_t i = 0; i < COUNT(ekus); i++)
		if (strcmp(ekus[i].name, name) == 0)
			return ekus[i].oid;
	return name;
}

const char *eku_nearest(const char *text)
{
	const char *names[COUNT(ekus) + 1] = { 0 };

	for (size_t i = 0; i < COUNT(ekus); i++)
		names[i] = ekus[i].name;
	return text_nearest(text, names);
}
