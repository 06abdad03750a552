-- Ends of one relationship on one side that belong to no pair.
--
-- in:   link of that repository, sync.pairs
-- out:  one row per pair and native key
-- key:  pair, target_artifact, target_key
SELECT DISTINCT p.pair, k.target_artifact, k.target_key
FROM {{ link }} AS k
JOIN sync.pairs AS p ON p.integration = {{ integration | lit }} AND p.{{ side }}_key = k.key
LEFT JOIN sync.pairs AS t ON t.integration = {{ target | lit }} AND t.{{ side }}_key = k.target_key
  AND k.target_artifact = {{ target_artifact | lit }}
WHERE k.artifact = {{ artifact | lit }} AND k.relationship = {{ relationship | lit }}
  AND p.state IN ('live', 'pending') AND NOT p.alias AND t.pair IS NULL
ORDER BY 1, 2, 3
