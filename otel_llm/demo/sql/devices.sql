-- What each kind of source saw of its devices during the run.
SELECT
    source,
    count() AS devices,
    sum(drawn_mj) / 1e3 AS joules,
    avg(mean_mw) / 1e3 AS mean_w,
    sum(rows) AS rows
FROM
(
    SELECT
        source, device, count() AS rows, max(energy_mj) - min(energy_mj) AS drawn_mj,
        avg(coalesce(power_mw, power_average_mw)) AS mean_mw
    FROM gpu_power
    WHERE mig = ''
    GROUP BY source, device
)
GROUP BY source
ORDER BY source
