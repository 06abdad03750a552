-- Artifacts of one collection in the shape of the model, beside their own values.
--
-- in:   the neutral view of the collection's artifact; `wanted` if only some keys matter
-- out:  one row per artifact: "n:<field>" is the system's own text, "m:<field>" the model's value,
--       "c:<field>" what a field holds that a constant is to be kept in
-- key:  key
--
-- Value maps are joined as tables. Filtering to the wanted keys happens below the
-- canonical functions, so that only what changed is converted.
SELECT
  a.key, a.project, a.rev, a.raw_hash, a.title, a.updated_at, a.updated_by, a.url, a.read_only
{% for f in fields %}
  , {{ f.native }} AS {{ ("n:" ~ f.name) | ident }}
  , {{ f.model }} AS {{ ("m:" ~ f.name) | ident }}
{% endfor %}
{% for c in constants %}
  , a.fields[{{ c | lit }}] AS {{ ("c:" ~ c) | ident }}
{% endfor %}
FROM {{ relation }} AS a
{% if wanted %}
JOIN {{ wanted }} AS w ON w.key = a.key
{% endif %}
{% for f in fields if f.map %}
LEFT JOIN (VALUES
{% for row in f.map %}
  ({{ row[0] | lit }}, {{ row[1] | lit }}){{ "," if not loop.last }}
{% endfor %}
) AS {{ ("map:" ~ f.name) | ident }} (native, model) ON {{ ("map:" ~ f.name) | ident }}.native = {{ f.native }}
{% endfor %}
WHERE a.project IN ({% for p in projects %}{{ p | lit }}{{ ", " if not loop.last }}{% endfor %})
{% if filter %}
  AND ({{ filter }})
{% endif %}
