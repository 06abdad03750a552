-- The artifacts that people know by one key: their own, or the last part of their address.
--
-- in:   the neutral view of a collection's artifact
-- out:  one row per artifact
-- key:  key
SELECT a.key
FROM {{ relation }} AS a
WHERE a.key = {{ key | lit }} OR right(a.url, {{ key | length + 1 }}) IN ({{ ("/" ~ key) | lit }}, {{ ("=" ~ key) | lit }})
