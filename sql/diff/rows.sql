-- The artifacts of a collection, without their fields.
--
-- in:   the neutral view of the collection's artifact
-- out:  one row per artifact that takes part
-- key:  key
SELECT a.key, a.raw_hash
FROM {{ relation }} AS a
WHERE a.project IN ({% for p in projects %}{{ p | lit }}{{ ", " if not loop.last }}{% endfor %})
{% if filter %}
  AND ({{ filter }})
{% endif %}
ORDER BY a.key
