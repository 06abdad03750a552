-- Which cases each plan of one repository holds, and which plan each run belongs to.
--
-- in:   membership and link of one repository
-- out:  kind 'plan': a plan and a case in it; kind 'run': a run and its plan
-- key:  kind, holder, held
SELECT 'plan' AS kind, m.holder_key AS holder, m.case_key AS held
FROM {{ membership }} AS m
WHERE m.holder = 'plan'
UNION ALL
SELECT 'run' AS kind, k.key AS holder, k.target_key AS held
FROM {{ link }} AS k
WHERE k.artifact = {{ artifact | lit }} AND k.relationship = {{ relationship | lit }}
