-- What each side held at the last agreement, under the current mapping.
--
-- in:   sync.base
-- out:  one row per pair: "b:<field>" tells whether the field was ever agreed, "n:" and "m:" as in mapped.sql
-- key:  pair
WITH pivoted AS (
  SELECT
    b.pair
{% for f in fields %}
  , coalesce(bool_or(b.field = {{ f.name | lit }}), false) AS {{ ("b:" ~ f.name) | ident }}
  , max(CASE WHEN b.field = {{ f.name | lit }} THEN b.{{ side }}_native END) AS {{ ("n:" ~ f.name) | ident }}
  , max(CASE WHEN b.field = {{ f.name | lit }} THEN b.degraded END) AS {{ ("d:" ~ f.name) | ident }}
{% endfor %}
  FROM sync.base AS b
  JOIN {{ wanted }} AS w ON w.pair = b.pair
  GROUP BY b.pair
)
SELECT
  a.pair
{% for f in fields %}
  , a.{{ ("b:" ~ f.name) | ident }}
  , a.{{ ("d:" ~ f.name) | ident }}
  , a.{{ ("n:" ~ f.name) | ident }}
  , {{ f.based }} AS {{ ("m:" ~ f.name) | ident }}
{% endfor %}
FROM pivoted AS a
{% for f in fields if f.map %}
LEFT JOIN (VALUES
{% for row in f.map %}
  ({{ row[0] | lit }}, {{ row[1] | lit }}){{ "," if not loop.last }}
{% endfor %}
) AS {{ ("map:" ~ f.name) | ident }} (native, model) ON {{ ("map:" ~ f.name) | ident }}.native = a.{{ ("n:" ~ f.name) | ident }}
{% endfor %}
