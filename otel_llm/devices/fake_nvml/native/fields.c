/* Field values: many readings by one call, each with its own result, stamp and latency. */
#include <time.h>

#include "fake.h"

struct field { enum key key; double scale; unsigned int type; };

/* Numbers: NVML_FI_DEV_* of nvml.h. A type of 0 marks a field that the fake does not know. */
static struct field field_of(unsigned int id)
{
    switch (id) {
    case 3: return (struct field){KEY_ecc_corrected, 1, VALUE_UNSIGNED_LONG_LONG};
    case 4: return (struct field){KEY_ecc_uncorrected, 1, VALUE_UNSIGNED_LONG_LONG};
    case 83: return (struct field){KEY_watts, 1, VALUE_UNSIGNED_LONG_LONG};
    case 138: return (struct field){KEY_nvlink_tx_kib, 1, VALUE_UNSIGNED_LONG_LONG};
    case 139: return (struct field){KEY_nvlink_rx_kib, 1, VALUE_UNSIGNED_LONG_LONG};
    case 142: return (struct field){KEY_remapped_corrected, 1, VALUE_UNSIGNED_INT};
    case 143: return (struct field){KEY_remapped_uncorrected, 1, VALUE_UNSIGNED_INT};
    case 144: return (struct field){KEY_remapped_pending, 1, VALUE_UNSIGNED_INT};
    case 145: return (struct field){KEY_remapped_failure, 1, VALUE_UNSIGNED_INT};
    case 185: return (struct field){KEY_watts_average, 1e3, VALUE_UNSIGNED_INT};
    case 186: return (struct field){KEY_watts, 1e3, VALUE_UNSIGNED_INT};
    case 197: return (struct field){KEY_pcie_tx_bytes, 1, VALUE_UNSIGNED_LONG_LONG};
    case 198: return (struct field){KEY_pcie_rx_bytes, 1, VALUE_UNSIGNED_LONG_LONG};
    case 230: return (struct field){KEY_recovery_action, 1, VALUE_UNSIGNED_INT};
    default: return (struct field){KEY_COUNT, 0, 0};
    }
}

static nvmlReturn_t read_field(const struct handle *handle, double time_s, struct field_value *out)
{
    struct field field = field_of(out->field_id);
    if (field.type == 0 || out->field_id >= 512)
        return out->field_id >= 512 ? INVALID_ARGUMENT : NOT_SUPPORTED;
    const struct point *failed = at(device_of(handle)->field_fail + out->field_id, time_s);
    if (failed && failed->value)
        return (nvmlReturn_t)failed->value;
    double value;
    nvmlReturn_t result = number(handle, field.key, time_s, &value);
    if (out->field_id == 83)
        out->value.ull = energy_mj(device_of(handle), time_s);
    else if (field.type == VALUE_UNSIGNED_INT)
        out->value.ui = (unsigned int)(value * field.scale);
    else
        out->value.ull = (unsigned long long)(value * field.scale);
    out->value_type = field.type;
    return result;
}

EXPORT nvmlReturn_t nvmlDeviceGetFieldValues(struct handle *handle, int count, struct field_value *values)
{
    double time_s;
    nvmlReturn_t result = enter(CALL_DeviceGetFieldValues, handle, &time_s);
    if (result != SUCCESS)
        return result;
    const struct point *slow = at(device_of(handle)->slow + CALL_DeviceGetFieldValues, time_s);
    for (int each = 0; each < count; each++) {
        values[each].result = read_field(handle, time_s, values + each);
        values[each].timestamp_us = (int64_t)(time_s * 1e6);
        values[each].latency_us = slow ? (int64_t)slow->value / count : 0;
    }
    return SUCCESS;
}
