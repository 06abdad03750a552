-- Ends of one relationship that are not at rest: on which side they stand, and whether they were agreed.
--
-- in:   link of both repositories, sync.pairs, sync.refs
-- out:  one row per pair and target pair whose three answers are not all yes
-- key:  pair, target
WITH ends AS (
{% for s in sides %}
  SELECT DISTINCT p.pair, t.pair AS target, {{ s.side | lit }} AS side, k.dynamic
  FROM {{ s.link }} AS k
  JOIN sync.pairs AS p ON p.integration = {{ integration | lit }} AND p.{{ s.side }}_key = k.key
  JOIN sync.pairs AS t ON t.integration = {{ target | lit }} AND t.{{ s.side }}_key = k.target_key
  WHERE k.artifact = {{ s.artifact | lit }} AND k.relationship = {{ s.relationship | lit }}
    AND k.target_artifact = {{ s.target_artifact | lit }}
    AND p.state IN ('live', 'pending') AND t.state IN ('live', 'pending')
  UNION ALL
{% endfor %}
  SELECT b.pair, b.target, 'base' AS side, false AS dynamic
  FROM sync.refs AS b
  JOIN sync.pairs AS p ON p.pair = b.pair AND p.state IN ('live', 'pending') AND NOT p.alias
  JOIN sync.pairs AS t ON t.pair = b.target AND t.state IN ('live', 'pending') AND NOT t.alias
  WHERE b.integration = {{ integration | lit }} AND b.field = {{ field | lit }}
)
SELECT
  pair, target,
  bool_or(side = 'left') AS in_left,
  bool_or(side = 'right') AS in_right,
  bool_or(side = 'base') AS in_base,
  coalesce(bool_or(side = 'left' AND dynamic), false) AS left_dynamic,
  coalesce(bool_or(side = 'right' AND dynamic), false) AS right_dynamic
FROM ends
GROUP BY pair, target
HAVING NOT (bool_or(side = 'left') AND bool_or(side = 'right') AND bool_or(side = 'base'))
ORDER BY pair, target
