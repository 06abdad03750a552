-- Artifacts that live in slots, with the slot in terms of pairs.
--
-- in:   link of one repository, sync.pairs, plan.strangers (keys to look at)
-- out:  one row per artifact all of whose required ends are paired; ordinal counts within a slot
-- key:  key
WITH ends AS (
{% for r in relations %}
  SELECT DISTINCT k.key, {{ r.field | lit }} AS field, t.pair
  FROM {{ link }} AS k
  JOIN plan.strangers AS s ON s.key = k.key
  JOIN sync.pairs AS t ON t.integration = {{ r.target | lit }} AND t.{{ side }}_key = k.target_key
  WHERE k.artifact = {{ artifact | lit }} AND k.relationship = {{ r.relationship | lit }}
    AND k.target_artifact = {{ r.target_artifact | lit }}
  {{ "UNION ALL" if not loop.last }}
{% endfor %}
), slots AS (
  SELECT key, CAST(string_agg(field || '=' || pair, '|' ORDER BY field, pair) AS VARCHAR) AS slot
  FROM ends
  GROUP BY key
  HAVING count(DISTINCT field) = {{ relations | length }}
)
SELECT key, slot, row_number() OVER (PARTITION BY slot ORDER BY key) AS ordinal FROM slots
