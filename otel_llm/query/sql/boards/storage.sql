-- What each table takes of the disk, most first, and how well it is compressed.
SELECT
    table, sum(p.rows) AS rows, sum(p.bytes_on_disk) AS bytes_on_disk,
    sum(p.data_uncompressed_bytes) / greatest(sum(p.data_compressed_bytes), 1) AS compression,
    count() AS parts
FROM system.parts AS p
WHERE active AND database = currentDatabase() AND table NOT LIKE '.inner%'
GROUP BY table
HAVING rows > 0
ORDER BY bytes_on_disk DESC, table
LIMIT {limit:UInt32}
