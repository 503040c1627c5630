/* SPDX-License-Identifier: Apache-2.0 */
#include "prom/formats.h"

const struct format_ops *const prom_formats_[N_FORMATS] = {
        [PROM_TEXT_0_0_4] = &prom_text_0_0_4_,
        [PROM_TEXT_1_0_0] = &prom_text_1_0_0_,
        [PROM_OPENMETRICS_1_0_0] = &prom_openmetrics_1_0_0_,
        [PROM_PROTOBUF_DELIMITED] = &prom_protobuf_,
};

bool prom_format_resolve_(struct prom_format *format)
{
        if ((unsigned)format->kind >= N_FORMATS || (unsigned)format->escaping >= N_ESCAPINGS)
                return false;
        if (format->escaping == PROM_ALLOW_UTF8 && !prom_formats_[format->kind]->quotes_names)
                format->escaping = PROM_ESCAPE_UNDERSCORES;
        return true;
}

const char *prom_content_type(struct prom_format format)
{
        return prom_format_resolve_(&format)
                       ? prom_formats_[format.kind]->content_types[format.escaping]
                       : PROM_TEXT_CONTENT_TYPE;
}
