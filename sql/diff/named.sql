-- Where some artifacts live, and what people call them.
--
-- in:   the neutral view of a collection's artifact
-- out:  one row per artifact asked for
-- key:  key
SELECT a.key, a.project, a.title
FROM {{ relation }} AS a
WHERE a.key IN ({% for k in keys %}{{ k | lit }}{{ ", " if not loop.last }}{% endfor %})
